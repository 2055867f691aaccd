// All that the pages need besides htmx. No page needs this to be read, and none to send a form.
"use strict";
(() => {
  const root = document.documentElement;

  // Light or dark: the system's, unless the reader has chosen.
  const chosen = localStorage.getItem("pipekit-theme");
  if (chosen) root.dataset.theme = chosen;

  // Moments in the reader's own time zone; how long ago as the title.
  const day = new Intl.DateTimeFormat("sv-SE", { year: "numeric", month: "2-digit", day: "2-digit" });
  const clock = new Intl.DateTimeFormat("sv-SE", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  function distance(moment) {
    const seconds = (moment - Date.now()) / 1000;
    const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) || units[3];
    return relative.format(Math.round(seconds / size), unit);
  }
  function showTimes(within) {
    for (const item of within.querySelectorAll("time[datetime]")) {
      const moment = new Date(item.dateTime);
      if (isNaN(moment)) continue;
      const today = day.format(moment) === day.format(new Date());
      item.textContent = (today ? "" : day.format(moment) + " ") + clock.format(moment);
      item.title = `${distance(moment)} · ${item.dateTime}`;
    }
  }

  // A log that follows. The server ends each stream after half a minute; the browser asks again by itself.
  function follow(log) {
    const source = new EventSource(log.dataset.events);
    source.addEventListener("log", (event) => {
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
      log.append(JSON.parse(event.data));
      if (atEnd) log.scrollTop = log.scrollHeight;
    });
    source.addEventListener("ended", () => { source.close(); location.reload(); });
  }

  document.addEventListener("DOMContentLoaded", () => {
    showTimes(document);
    for (const log of document.querySelectorAll("[data-events]")) { log.scrollTop = log.scrollHeight; follow(log); }
  });
  document.addEventListener("htmx:afterSwap", () => showTimes(document));
  // The session has ended, or the login has changed: the whole page says so.
  document.addEventListener("htmx:responseError", (event) => {
    if ([401, 403].includes(event.detail.xhr.status)) location.reload();
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const menu = event.target.closest("[data-menu]");
    if (menu) menu.setAttribute("aria-expanded", String(menu.getAttribute("aria-expanded") !== "true"));
    if (event.target.closest("[data-theme-toggle]")) {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      localStorage.setItem("pipekit-theme", root.dataset.theme);
    }
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      document.querySelector("[data-search]").focus();
    }
  });
})();
