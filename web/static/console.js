// What plain pages cannot do: copying, a shortcut to the filter, times that stay true. Nothing works only with it.
"use strict";

{
  const say = (words) => {
    const place = document.getElementById("said");
    if (place) place.textContent = words;
  };

  // Browsers give the clipboard to pages over https and on loopback only; elsewhere the text is marked, for Ctrl+C.
  const copy = async (source) => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      return "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      return "Marked";
    }
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button || button.dataset.before) return;
    const label = button.querySelector(".label");
    const icon = button.querySelector("use");
    const before = [label.textContent, icon.getAttribute("href")];
    const done = await copy(document.getElementById(button.dataset.copy));
    label.textContent = done;
    icon.setAttribute("href", before[1].replace(/#.*/, done === "Copied" ? "#check" : "#copy"));
    say(`${button.getAttribute("aria-label")}: ${done.toLowerCase()}`);
    button.dataset.before = before[0];
    setTimeout(() => {
      label.textContent = before[0];
      icon.setAttribute("href", before[1]);
      delete button.dataset.before;
    }, 1600);
  });

  // A live page whose hub is away says so, instead of showing what was as what is.
  const away = document.getElementById("away");
  const gone = (event) => {
    if (event.detail.xhr.status && event.detail.xhr.status < 500) return;
    if (!away.hidden) return;
    const since = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    away.textContent = `The hub does not answer. This page shows what was true at ${since}, and goes on when the hub is back.`;
    away.hidden = false;
  };
  document.addEventListener("htmx:sendError", gone);
  document.addEventListener("htmx:timeout", gone);
  document.addEventListener("htmx:responseError", gone);
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.status < 500) away.hidden = true;
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!target) return;
    event.preventDefault();
    if (target.matches("input")) target.focus();
    else target.click();
  });

  // What is pressed must still be there when it is let go, or the press is lost: a live page waits with its change.
  let pressed = false;
  addEventListener("pointerdown", (event) => { pressed = event.button === 0; }, true);
  addEventListener("keydown", (event) => { pressed = event.key === " "; }, true);
  for (const kind of ["pointerup", "pointercancel", "keyup", "blur"]) addEventListener(kind, () => { pressed = false; }, true);
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (pressed && event.detail.requestConfig.elt === event.detail.target) event.detail.shouldSwap = false;
  });

  // Tabs are links; with scripts they are what screen readers know as tabs, with one stop for Tab and arrows between.
  // https://www.w3.org/WAI/ARIA/apg/patterns/tabs/ (activated by hand: what is behind a tab is asked for).
  const tabs = () => {
    for (const list of document.querySelectorAll("[data-tabs]:not([role])")) {
      const panel = document.getElementById(list.dataset.tabs);
      list.setAttribute("role", "tablist");
      for (const tab of list.querySelectorAll("a")) {
        const chosen = tab.hasAttribute("aria-current");
        tab.removeAttribute("aria-current");
        tab.setAttribute("role", "tab");
        tab.setAttribute("aria-selected", String(chosen));
        tab.setAttribute("aria-controls", panel.id);
        tab.tabIndex = chosen ? 0 : -1;
        if (chosen) panel.setAttribute("aria-labelledby", tab.id);
      }
      panel.setAttribute("role", "tabpanel");
    }
  };
  const ways = {
    ArrowRight: (at, count) => (at + 1) % count,
    ArrowLeft: (at, count) => (at + count - 1) % count,
    Home: () => 0,
    End: (at, count) => count - 1,
  };
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (!tab) return;
    const all = [...tab.parentElement.querySelectorAll("[role=tab]")];
    if (event.key === " ") tab.click();
    else if (ways[event.key]) all[ways[event.key](all.indexOf(tab), all.length)].focus();
    else return;
    event.preventDefault();
  });
  document.addEventListener("htmx:afterSwap", tabs);
  tabs();

  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
  const refresh = () => {
    for (const element of document.querySelectorAll("time[data-relative]")) {
      const seconds = Math.round((Date.parse(element.dateTime) - Date.now()) / 1000);
      const [unit, size] = units.find(([, least]) => Math.abs(seconds) >= least) ?? units[3];
      element.textContent = Math.abs(seconds) < 5 ? "now" : relative.format(Math.trunc(seconds / size), unit);
    }
  };
  setInterval(refresh, 5000);
  document.addEventListener("htmx:afterSwap", refresh);
  document.documentElement.classList.add("scripted");
  refresh();
}
