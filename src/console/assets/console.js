"use strict";
// The pages are whole without this. It fetches the part of a page anew that says so, and copies ids.

const EVERY_MS = 5000;
const live = document.querySelector("[data-refresh]");

function addCopyButtons(within) {
  if (!navigator.clipboard) return;
  for (const text of within.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${text.dataset.copy || text.textContent}`);
    button.addEventListener("click", async () => {
      // of a form's field, what is in it now
      await navigator.clipboard.writeText(text.value ?? text.textContent);
      button.textContent = "Copied";
    });
    text.after(button);
  }
}

// What is open, and where the keyboard is, stays so.
function state(within) {
  const links = [...within.querySelectorAll("a, button, summary, [tabindex]")];
  return {
    open: [...within.querySelectorAll("details[id]")].filter((one) => one.open).map((one) => one.id),
    focused: links.indexOf(document.activeElement),
    scrolled: [...within.querySelectorAll(".scroll")].map((one) => one.scrollLeft),
  };
}

function restore(within, before) {
  for (const id of before.open) {
    const one = document.getElementById(id);
    if (one) one.open = true;
  }
  within.querySelectorAll(".scroll").forEach((one, index) => {
    one.scrollLeft = before.scrolled[index] ?? 0;
  });
  if (before.focused >= 0) {
    within.querySelectorAll("a, button, summary, [tabindex]")[before.focused]?.focus({ preventScroll: true });
  }
}

function isReading() {
  const selection = document.getSelection();
  return document.hidden || (selection && !selection.isCollapsed && live.contains(selection.anchorNode));
}

function startRefreshing() {
  const bar = document.createElement("p");
  const button = document.createElement("button");
  const said = document.createElement("span");
  button.type = "button";
  said.className = "note";
  bar.append(button, " ", said);
  live.before(bar);

  let paused = false;
  const show = () => {
    button.textContent = paused ? "Go on refreshing" : "Pause refreshing";
    said.textContent = paused ? "Paused." : "";
  };
  button.addEventListener("click", () => {
    paused = !paused;
    show();
  });
  show();

  const refresh = async () => {
    const answer = await fetch(location.href, {
      headers: { "Tributary-Fragment": "1" },
      redirect: "error",
      signal: AbortSignal.timeout(EVERY_MS * 2),
    });
    if (answer.status === 401) {
      // asking again would be refused again
      location.reload();
      return false;
    }
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const text = await answer.text();
    if (paused || isReading()) return true;
    const before = state(live);
    const page = new DOMParser().parseFromString(text, "text/html");
    live.replaceChildren(...page.body.childNodes);
    addCopyButtons(live);
    restore(live, before);
    show();
    return true;
  };

  const next = async () => {
    let goOn = true;
    if (!paused && !isReading()) {
      try {
        goOn = await refresh();
      } catch (error) {
        said.textContent = `What is shown is old: ${error.message}. Trying again.`;
      }
    }
    if (goOn) setTimeout(next, EVERY_MS);
  };
  setTimeout(next, EVERY_MS);
}

addCopyButtons(document);
if (live) startRefreshing();
