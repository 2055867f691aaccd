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

  // What is typed into a form is kept for this tab until it is saved or left by its link: neither a session that ends, nor a
  // reload, nor a step back takes text with it. What is kept names the form that it goes to, and the version that it was made from.
  const KEPT = "pipekit-kept:";
  const typed = (form) => JSON.stringify([...new FormData(form)].filter(([name]) => !["form_token", "version", "do", "secret_value"].includes(name)));
  const keeping = () => document.querySelector("form[data-keep]");
  const place = (form) => KEPT + form.getAttribute("action").replace("/edit/", "/form/") + "/" + (form.querySelector("[name=name]")?.value || "");
  let atFirst = null;
  function keep() {
    const form = keeping();
    if (!form || atFirst === null || typed(form) === atFirst) return;
    sessionStorage.setItem(place(form), JSON.stringify([form.getAttribute("action"), form.querySelector("[name=version]")?.value || "", typed(form)]));
  }
  document.addEventListener("DOMContentLoaded", () => {
    const form = keeping(), saving = sessionStorage.getItem("pipekit-saving");
    sessionStorage.removeItem("pipekit-saving");
    if (!form) {
      // What was to be saved led to another page than a form or the login: it is saved.
      if (saving && !location.pathname.startsWith("/pipekit/login") && !document.querySelector("[data-refused]")) sessionStorage.removeItem(saving);
      return;
    }
    atFirst = typed(form);
    const kept = JSON.parse(sessionStorage.getItem(place(form)) || "null");
    if (!kept || kept[2] === atFirst) return;
    const offer = document.createElement("p");
    offer.className = "note warn";
    offer.setAttribute("role", "status");
    const button = (label, act) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = label;
      made.addEventListener("click", act);
      return made;
    };
    offer.append(
      "What you typed here before was not saved. ", button("Take it back", () => restore(form, kept)), " ",
      button("Forget it", () => { sessionStorage.removeItem(place(form)); offer.remove(); }),
    );
    form.before(offer);
  });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-leave]") && keeping()) sessionStorage.removeItem(place(keeping())); });
  // The fields go to the server, which makes the form that has rows for all of them, and tells who has changed the record since.
  function restore(form, [action, version, fields]) {
    const sent = document.createElement("form");
    sent.method = "post";
    sent.action = action;
    for (const [name, value] of [["form_token", form.querySelector("[name=form_token]").value], ["version", version], ...JSON.parse(fields), ["do", "plan"]]) {
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
    if (event.submitter?.value === "save" && keeping()) sessionStorage.setItem("pipekit-saving", place(keeping()));
    if (form.matches("[data-saves]")) sessionStorage.setItem("pipekit-saving", KEPT + "/pipekit/wizard/");
  });
  addEventListener("pageshow", () => { for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent; });

  // Tables that are ticked in the wizard stay ticked while one filters, turns pages, goes back or reloads.
  document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("form[data-picks]"), PICKS = "pipekit-picks:";
    if (!/^\/pipekit\/(wizard|login|form\/connections|connections)/.test(location.pathname)) {
      for (const key of Object.keys(sessionStorage)) if (key.startsWith(PICKS)) sessionStorage.removeItem(key);
    }
    if (!form) return;
    const key = PICKS + form.dataset.picks, picked = new Set(JSON.parse(sessionStorage.getItem(key) || "[]"));
    const boxes = () => [...form.querySelectorAll("input[type=checkbox][name=table]")];
    const told = form.querySelector("[data-picked]");
    function show() {
      const here = new Set(boxes().map((box) => box.value)), others = [...picked].filter((table) => !here.has(table));
      told.textContent = "";
      for (const table of others) {
        const field = document.createElement("input");
        field.type = "hidden"; field.name = "table"; field.value = table;
        told.append(field);
      }
      if (!others.length) return;
      const forget = document.createElement("button");
      forget.type = "button"; forget.className = "quiet"; forget.textContent = "Untick these";
      forget.addEventListener("click", () => { for (const table of others) picked.delete(table); store(); });
      told.append(`Also ticked, not in this list: ${others.slice(0, 12).join(", ")}${others.length > 12 ? ` and ${others.length - 12} more` : ""} `, forget);
    }
    function store() {
      sessionStorage.setItem(key, JSON.stringify([...picked]));
      show();
    }
    for (const box of boxes()) if (picked.has(box.value)) box.checked = true;
    form.addEventListener("change", () => { for (const box of boxes()) picked[box.checked ? "add" : "delete"](box.value); store(); });
    show();
  });

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
    if (all) {
      const boxes = [...document.querySelectorAll(all.dataset.all)];
      for (const box of boxes) box.checked = all.checked;
      boxes[0]?.dispatchEvent(new Event("change", { bubbles: true }));
    }
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
    // What was opened over the page closes, and the focus is where it was.
    const open = event.key === "Escape" && (event.target.closest("details.drop[open]") || document.querySelector("details.drop[open]"));
    if (open) { open.open = false; open.querySelector("summary").focus(); }
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      document.querySelector("[data-search]").focus();
    }
  });
})();
