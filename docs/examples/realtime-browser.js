// Server-sent events in a browser. Connects again by itself, and is told what it has missed.
//
//   const stop = watch("https://api.example.com/api/v1", async () => accessToken, (message) => { … });
//
// `message` is {type, data, timestamp}. An `error` with the code FEED_TRUNCATED: load your lists anew.
const TYPES = [
  "ready", "notification", "license_update", "payment_update", "extension_update", "support_ticket_update",
  "system_status", "presence", "typing", "error",
];
const FINAL = ["TOKEN_REVOKED", "STREAM_REPLACED"];

export function watch(api, token, tell) {
  let last, source, timer, over = false;

  function again() {
    source?.close();
    if (!over) timer = setTimeout(open, 1000 + Math.random() * 3000);
  }

  async function open() {
    try {
      const headers = { Authorization: `Bearer ${await token()}` };
      const asked = await fetch(`${api}/realtime/tickets`, { method: "POST", headers });
      if (!asked.ok) throw new Error(`no ticket: ${asked.status}`);
      const url = (await asked.json()).data.stream_url;
      if (over) return;
      // A ticket works once: the browser's own attempt to connect again is refused, and so we do it.
      source = new EventSource(last === undefined ? url : `${url}&last_event_id=${last}`);
    } catch {
      return again();
    }
    for (const type of TYPES) source.addEventListener(type, hear);
    source.onerror = (event) => event.data === undefined && again();
  }

  function hear(event) {
    if (event.data === undefined) return; // the browser's own "error": the connection is lost
    if (event.lastEventId !== "") last = event.lastEventId;
    const message = JSON.parse(event.data);
    if (message.type === "error" && FINAL.includes(message.data.code)) stop();
    tell(message);
  }

  function stop() {
    over = true;
    clearTimeout(timer);
    source?.close();
  }

  open();
  return stop;
}
