/* Tables that are sorted by a press on the head of a column: the largest number or the first word on top, then the other way round, then as they came. */
(() => {
  "use strict";

  const NEXT = { number: ["descending", "ascending", "none"], word: ["ascending", "descending", "none"] };
  const ARROWS = { none: "↕", ascending: "↑", descending: "↓" };
  const MISSING = /^(|–|-|undefined)$/i;
  /* a sign of order, a number with or without groups of thousands, and whatever stands behind it: an interval, a layer, a mark */
  const NUMBER = /^[<>≤≥~]?\s*([+\-−]?)(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+|infinite|∞)(e[+\-−]?\d+)?(?=$|[\s[(%])/i;

  const words = (cell) => cell.textContent.trim().replace(/\s+/g, " ");

  /* The number that a cell begins with; null for a missing one, NaN for a word. */
  function numberOf(text) {
    if (MISSING.test(text)) return null;
    const found = NUMBER.exec(text);
    if (!found) return NaN;
    const [, sign, digits, exponent = ""] = found;
    const size = /^(infinite|∞)$/i.test(digits) ? Infinity : Number(digits.replace(/,/g, "") + exponent.replace("−", "-"));
    return sign && sign !== "+" ? -size : size;
  }

  const collator = new Intl.Collator(document.documentElement.lang || undefined, { numeric: true, sensitivity: "base" });

  /* The value of each row in a column: numbers where all that is there are numbers, else words; null where nothing is. */
  function keysOf(rows, column) {
    const texts = rows.map((row) => (row.cells[column] ? words(row.cells[column]) : ""));
    const numbers = texts.map(numberOf);
    if (numbers.some((n) => n !== null && !Number.isNaN(n)) && !numbers.some(Number.isNaN)) return { kind: "number", keys: numbers };
    return { kind: "word", keys: texts.map((text) => (MISSING.test(text) ? null : text)) };
  }

  const compared = (kind, a, b) => (kind === "number" ? (a < b ? -1 : a > b ? 1 : 0) : collator.compare(a, b));

  /* The rows in a new order; what is missing comes last either way, equals stay as they were. */
  function ordered(rows, { kind, keys }, order) {
    if (order === "none") return rows;
    const turn = order === "ascending" ? 1 : -1;
    return rows
      .map((row, i) => ({ row, key: keys[i] }))
      .sort((a, b) => (a.key === null || b.key === null ? (a.key === null) - (b.key === null) : turn * compared(kind, a.key, b.key)))
      .map(({ row }) => row);
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const rows = [...body.rows];
    if (rows.length < 2) return;

    function show(head, order) {
      head.setAttribute("aria-sort", order);
      head.querySelector(".order").textContent = ARROWS[order];
    }

    heads.forEach((head, column) => {
      const found = keysOf(rows, column);
      const button = document.createElement("button");
      const arrow = document.createElement("span");
      button.type = "button";
      button.title = "Sort by this column";
      arrow.className = "order";
      arrow.setAttribute("aria-hidden", "true");
      button.append(...head.childNodes, arrow);
      head.replaceChildren(button);
      show(head, "none");
      button.addEventListener("click", () => {
        const cycle = NEXT[found.kind];
        const order = cycle[(cycle.indexOf(head.getAttribute("aria-sort")) + 1) % cycle.length];
        for (const other of heads) show(other, other === head ? order : "none");
        body.replaceChildren(...ordered(rows, found, order));
      });
    });
  }

  const start = () => document.querySelectorAll("table[data-sortable]").forEach(sortable);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
