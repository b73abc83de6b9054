// The results page: sorting and searching its table, applying its controls, and watching for news where a server is behind it.
"use strict";
(() => {
  const numberOrText = (cell) => cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  const heads = () => [...document.querySelectorAll("#runs th")];
  let sorted = null;  // [column, upwards]

  const sort = () => {
    const at = sorted ? heads().findIndex((head) => head.textContent === sorted[0]) : -1;
    if (at < 0) return;
    heads().forEach((head, i) => i === at ? head.setAttribute("aria-sort", sorted[1] ? "ascending" : "descending") : head.removeAttribute("aria-sort"));
    const body = document.getElementById("runs").tBodies[0];
    const rows = [...body.rows].sort((a, b) => {
      const x = numberOrText(a.cells[at]), y = numberOrText(b.cells[at]);
      const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? -1 : 1;
      return sorted[1] ? order : -order;
    });
    body.append(...rows);
  };
  const sortBy = (head) => {
    sorted = [head.textContent, head.getAttribute("aria-sort") !== "ascending"];
    sort();
  };

  // a word, or path=value of one column
  const meets = (row, word, names) => {
    const at = word.indexOf("=");
    const column = at > 0 ? names.indexOf(word.slice(0, at)) : -1;
    if (column < 0) return row.textContent.toLowerCase().includes(word.toLowerCase());
    const value = word.slice(at + 1), own = numberOrText(row.cells[column]);
    return typeof own === "number" ? value !== "" && own === Number(value) : own.toLowerCase().includes(value.toLowerCase());
  };
  const search = () => {
    const box = document.getElementById("search");
    if (!box) return;
    const words = box.value.trim().split(/\s+/).filter(Boolean), names = heads().map((head) => head.textContent);
    for (const row of document.getElementById("runs").tBodies[0].rows) row.hidden = !words.every((word) => meets(row, word, names));
  };

  // events are taken where they arrive, so that they outlive what is replaced below
  document.addEventListener("input", (event) => { if (event.target.id === "search") search(); });
  document.addEventListener("change", (event) => { if (event.target.matches("select, [type=checkbox]")) event.target.form.submit(); });
  document.addEventListener("click", (event) => { const head = event.target.closest("#runs th"); if (head) sortBy(head); });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    if (event.target.id === "search") event.preventDefault();
    if (event.target.matches("#runs th")) sortBy(event.target);
  });

  const look = async () => {
    const version = await (await fetch("/version")).text();
    document.querySelector(".live").textContent = `looked at ${new Date().toTimeString().slice(0, 8)}`;
    if (version === document.body.dataset.version || document.querySelector("video:not([paused])")?.currentTime > 0) return;
    const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    const typed = document.getElementById("search")?.value, scrolled = document.querySelector(".scroll")?.scrollTop;
    const focused = document.activeElement?.id;
    document.querySelector("main").replaceWith(fresh.querySelector("main"));
    document.body.dataset.version = fresh.body.dataset.version;
    if (typed !== undefined && document.getElementById("search")) document.getElementById("search").value = typed;
    search();
    sort();
    if (scrolled) document.querySelector(".scroll").scrollTop = scrolled;
    if (focused) document.getElementById(focused)?.focus();
  };
  if (document.body.dataset.version) setInterval(() => look().catch(() => {}), 3000);
})();
