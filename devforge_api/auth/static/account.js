// Answers a letter's link: takes the token from the address's fragment, asks the API, tells how it went.
// All words stand in the page, so that this file knows no language.
"use strict";

const main = document.querySelector("[data-call]");
const form = main.querySelector("form");
const button = form.querySelector("button");
const messages = [...main.querySelectorAll("[data-on]")];

function token() {
  return new URLSearchParams(location.hash.slice(1)).get("token");
}

// One message at a time: the one for any of these names, else the one for everything else.
function tell(...names) {
  const found = names.map((name) => messages.find((one) => one.dataset.on.split(" ").includes(name)));
  const shown = found.find(Boolean) ?? messages.find((one) => one.dataset.on === "anything-else");
  for (const one of messages) one.hidden = one !== shown;
  shown.focus();
  return shown;
}

function end(...names) {
  form.hidden = true;
  tell(...names);
}

async function send() {
  const body = { token: token() };
  const password = form.elements.namedItem("password");
  if (password) body.password = password.value;
  button.disabled = true;
  password?.removeAttribute("aria-invalid");
  try {
    const answer = await fetch(main.dataset.call, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials: "omit",
    });
    if (answer.ok) {
      // Used up; neither history nor a bookmark keeps it.
      history.replaceState(null, "", location.pathname);
      end("done");
      return;
    }
    const { error } = await answer.json();
    const codes = [...(error.details ?? []).map((one) => one.code), error.code];
    const shown = tell(...codes);
    if (shown.dataset.final !== undefined) form.hidden = true;
    else if (password && answer.status === 422) {
      password.setAttribute("aria-invalid", "true");
      password.focus();
    }
  } catch {
    tell("unreachable");
  } finally {
    button.disabled = false;
  }
}

const show = form.querySelector("input[type=checkbox]");
show?.addEventListener("change", () => {
  form.elements.namedItem("password").type = show.checked ? "text" : "password";
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
if (token()) form.hidden = false;
else end("no-token");
