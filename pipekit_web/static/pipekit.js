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
  document.addEventListener("htmx:afterSwap", () => { showTimes(document); dress(document); });
  // A plan that is refused because somebody else has saved is a page like any other.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status === 409) { event.detail.shouldSwap = true; event.detail.isError = false; }
  });
  // The session has ended, or the login has changed: the whole page says so. What was typed is kept.
  document.addEventListener("htmx:responseError", (event) => {
    if (![401, 403].includes(event.detail.xhr.status)) return;
    keep();
    location.reload();
  });

  // SQL with colours, over a text field that keeps its value and is what is sent.
  const nonce = document.querySelector("meta[name=style-nonce]")?.content;
  function dress(within) {
    if (!window.pipekitSqlEditor) return;
    for (const area of within.querySelectorAll("[data-sql-editor] textarea:not([hidden])")) {
      window.pipekitSqlEditor(area, nonce);
      area.hidden = true;
    }
  }
  document.addEventListener("DOMContentLoaded", () => dress(document));

  // What is typed into a form is kept for this tab until it is saved: a session that ends takes no text with it.
  const place = "pipekit-kept:" + location.pathname.replace("/edit/", "/form/");
  const typed = (form) => JSON.stringify([...new FormData(form)].filter(([name]) => !["form_token", "version", "do", "secret_value"].includes(name)));
  const keeping = () => document.querySelector("form[data-keep]");
  let atFirst = null;
  function keep() {
    const form = keeping();
    if (form && atFirst !== null && typed(form) !== atFirst) sessionStorage.setItem(place, JSON.stringify([location.href, typed(form)]));
  }
  document.addEventListener("DOMContentLoaded", () => {
    const form = keeping();
    if (!form) {
      // A page after the editor: it was saved, or left. The login in between is neither.
      if (!location.pathname.startsWith("/pipekit/login")) for (const key of Object.keys(sessionStorage)) if (key.startsWith("pipekit-kept:")) sessionStorage.removeItem(key);
      return;
    }
    atFirst = typed(form);
    const kept = JSON.parse(sessionStorage.getItem(place) || "null");
    if (!kept || kept[1] === atFirst) return;
    const offer = document.createElement("p");
    offer.className = "note warn";
    offer.setAttribute("role", "status");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Take it back";
    button.addEventListener("click", () => restore(form, JSON.parse(kept[1])));
    offer.append("What you typed here before was not saved. ", button);
    form.before(offer);
  });
  // The fields go to the server, which makes the form that has rows for all of them.
  function restore(form, fields) {
    const sent = document.createElement("form");
    sent.method = "post";
    sent.action = form.getAttribute("action");
    const own = [...new FormData(form)].filter(([name]) => ["form_token", "version"].includes(name));
    for (const [name, value] of [...own, ...fields, ["do", "plan"]]) {
      const field = document.createElement("textarea");
      field.name = name; field.value = value; field.hidden = true;
      sent.append(field);
    }
    document.body.append(sent);
    sent.submit();
  }
  document.addEventListener("input", (event) => { if (event.target.closest("form[data-keep]")) keep(); });
  // Twice pressed is sent once.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    keep();
  });
  addEventListener("pageshow", () => { for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent; });

  // Members of a group by drag: dropped on another, a member takes its place; its step with it.
  let dragged = null;
  document.addEventListener("dragstart", (event) => { dragged = event.target.closest?.("[data-member]"); });
  document.addEventListener("dragover", (event) => { if (dragged && event.target.closest?.("[data-steps]")) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    const target = event.target.closest?.("[data-member]");
    if (!dragged || !target || target === dragged) return;
    event.preventDefault();
    const step = (row) => row.querySelector("input");
    step(dragged).value = step(target).value;
    target.after(dragged);
    step(dragged).dispatchEvent(new Event("input", { bubbles: true }));
    mark();
    dragged = null;
  });
  // Where one step ends.
  function mark() {
    for (const steps of document.querySelectorAll("[data-steps]")) {
      const rows = [...steps.querySelectorAll("[data-member]")];
      const order = (row) => Number(row.querySelector("input").value);
      rows.sort((one, other) => order(one) - order(other)).forEach((row, at) => {
        if (document.activeElement !== row.querySelector("input")) steps.append(row);
        row.classList.toggle("beside", at > 0 && order(row) === order(rows[at - 1]));
      });
    }
  }
  document.addEventListener("DOMContentLoaded", mark);
  document.addEventListener("htmx:afterSwap", mark);
  document.addEventListener("change", (event) => {
    if (event.target.closest("[data-steps]")) { const field = event.target; mark(); field.focus(); }
    // All of a list at once.
    const all = event.target.closest("[data-all]");
    if (all) for (const box of document.querySelectorAll(all.dataset.all)) box.checked = all.checked;
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
