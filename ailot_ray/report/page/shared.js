// Sorting and filtering of the table of trials in a shared results file.
"use strict";
(() => {
  const table = document.getElementById("runs");
  if (!table) return;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const names = heads.map((head) => head.textContent);
  const key = (row, i) => row.cells[i].dataset.value === undefined ? row.cells[i].textContent : Number(row.cells[i].dataset.value);

  const sort = (i) => {
    const up = heads[i].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[i].setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a, i), y = key(b, i);
      const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? -1 : 1;
      return up ? order : -order;
    });
    body.append(...rows);
  };
  heads.forEach((head, i) => {
    head.addEventListener("click", () => sort(i));
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(i); });
  });

  // a word, or path=value of one column
  const meets = (row, word) => {
    const at = word.indexOf("=");
    const column = at > 0 ? names.indexOf(word.slice(0, at)) : -1;
    if (column < 0) return row.textContent.toLowerCase().includes(word.toLowerCase());
    const value = word.slice(at + 1), own = key(row, column);
    return typeof own === "number" ? value !== "" && own === Number(value) : own.toLowerCase().includes(value.toLowerCase());
  };
  document.getElementById("search").addEventListener("input", (event) => {
    const words = event.target.value.trim().split(/\s+/).filter(Boolean);
    for (const row of body.rows) row.hidden = !words.every((word) => meets(row, word));
  });
})();
