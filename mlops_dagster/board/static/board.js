// Polling is htmx's work. This adds the banner when polls fail, the copying of commands, and the announcement of alerts.
"use strict";

const live = document.getElementById("live");
const banner = document.getElementById("banner");
const announcer = document.getElementById("announcer");
const asOf = document.getElementById("as-of");

function announce(text) {
  announcer.textContent = "";
  setTimeout(() => { announcer.textContent = text; }, 50); // the same text twice is announced twice
}

function alerts() {
  return new Map([...document.querySelectorAll("[data-alert]")].map((row) => [row.dataset.alert, row.dataset.says]));
}

function shownTime(time) {
  return `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function setAsOf(text) {
  if (!text) return;
  asOf.dateTime = text;
  asOf.textContent = shownTime(new Date(text));
}

function lost() {
  if (banner.hidden) {
    banner.hidden = false;
    document.documentElement.classList.add("lost");
    banner.textContent = `The control room does not answer: the numbers below are of ${asOf.textContent} and may be wrong now.`;
  }
}

function found(response) {
  setAsOf(response.headers.get("as-of"));
  if (!banner.hidden) {
    banner.hidden = true;
    banner.textContent = "";
    document.documentElement.classList.remove("lost");
    announce("The control room answers again.");
  }
}

if (live) {
  let known = alerts();
  live.addEventListener("htmx:error", lost);
  live.addEventListener("htmx:after:request", (event) => {
    const { response } = event.detail.ctx;
    if (response.status < 400) found(response); else lost();
  });
  live.addEventListener("htmx:after:swap", () => {
    const now = alerts();
    const fresh = [...now].filter(([id]) => !known.has(id)).map(([, says]) => says);
    if (fresh.length) announce(`New: ${fresh.join("; ")}`);
    known = now;
  });
}

async function copy(button) {
  const command = button.closest(".command").querySelector("code");
  try {
    await navigator.clipboard.writeText(command.textContent);
    announce("Copied.");
    button.textContent = "copied";
  } catch {
    // Browsers lend the clipboard to https and this machine only.
    getSelection().selectAllChildren(command);
    announce("Selected: press Control and C to copy.");
    button.textContent = "selected: Ctrl+C";
  }
  setTimeout(() => { button.textContent = "copy"; }, 3000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (button) copy(button);
});
