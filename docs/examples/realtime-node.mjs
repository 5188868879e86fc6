// Server-sent events in Electron's main process, or any Node from 18 on: the token goes in a header.
//
//   for await (const message of follow("https://live.example.com", async () => accessToken)) { … }
//
// `message` is {type, data, timestamp}, with `id` where it belongs to the feed. Keep the last id on disk and
// give it as `after`: then nothing is missed while the application is closed, for a week.
const FINAL = ["TOKEN_REVOKED", "STREAM_REPLACED"];

export async function* follow(base, token, after) {
  for (let wait = 1000; ; wait = Math.min(wait * 2, 60_000)) {
    try {
      const headers = { Authorization: `Bearer ${await token()}` };
      if (after !== undefined) headers["Last-Event-ID"] = String(after);
      const answer = await fetch(`${base}/api/v1/realtime/stream`, { headers });
      if (answer.status === 403) return;
      if (!answer.ok) throw new Error(`refused: ${answer.status}`);
      wait = 500;
      for await (const message of messages(answer.body)) {
        if (message.id !== undefined) after = message.id;
        yield message;
        if (message.type === "error" && FINAL.includes(message.data.code)) return;
      }
    } catch {
      // No network, or the server has stopped: the feed is still there when we are back.
    }
    await new Promise((resume) => setTimeout(resume, wait * (1 + Math.random())));
  }
}

async function* messages(body) {
  let text = "";
  for await (const part of body.pipeThrough(new TextDecoderStream())) {
    text += part;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const lines = event.split("\n").map((line) => line.split(/: ?(.*)/s));
      const fields = Object.fromEntries(lines.filter(([name]) => name !== ""));
      if (fields.data !== undefined) {
        yield { ...JSON.parse(fields.data), ...(fields.id !== undefined && { id: Number(fields.id) }) };
      }
    }
  }
}
