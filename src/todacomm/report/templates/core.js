/* The core of the page: elements, themes, charts with their data and figure to download, and the start of it all. */
(() => {
  "use strict";

  const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
  const CONFIG = { displayModeBar: false, displaylogo: false, showTips: false, doubleClick: "reset", scrollZoom: false, typesetMath: false };
  const WORDS = ["ink", "soft", "line", "paper", "panel", "accent", "warn"];
  const PRINTED = { whole: 690, half: 335 }; // CSS pixels of a page of A4 with its margins
  const EXPORTED = 860;
  const ROOMY = 620; // from which texts are written around a plane

  /* Elements */

  function el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
    return element;
  }

  /* Strings that plotly shows as they are: it reads a little HTML in labels. */
  function text(s) {
    return String(s).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  /* A text in lines of about `width` letters, escaped, for plotly's hover. */
  function wrapped(s, width = 60) {
    const lines = [""];
    for (const word of String(s).split(/\s+/).flatMap((w) => w.match(new RegExp(`.{1,${width}}`, "gsu")) || [])) {
      const last = lines[lines.length - 1];
      if (last && last.length + word.length >= width) lines.push(word);
      else lines[lines.length - 1] = last ? `${last} ${word}` : word;
    }
    return lines.map(text).join("<br>");
  }

  /* `digits` significant digits, thousands grouped; undefined and infinite values in words. */
  function number(x, digits = 4) {
    if (x === null || x === undefined || Number.isNaN(x)) return "undefined";
    if (!Number.isFinite(x)) return "infinite";
    const rounded = Number(x.toPrecision(digits));
    const size = Math.abs(rounded);
    if (size >= 10 ** (digits - 1) && size < 1e9) return x.toLocaleString("en-US", { maximumFractionDigits: 0, roundingMode: "halfEven" });
    const [mantissa, exponent] = rounded.toExponential().split("e");
    if (size === 0 || (exponent >= -4 && exponent < digits)) return String(rounded);
    return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
  }

  /* Colours */

  function themeOf(element) {
    const style = getComputedStyle(element);
    return Object.fromEntries(WORDS.map((word) => [word, style.getPropertyValue(`--${word}`).trim()]));
  }

  const theme = () => themeOf(document.documentElement);

  function onPaper() {
    const probe = document.body.appendChild(el("div", { class: "as-printed", hidden: true }));
    const found = themeOf(probe);
    probe.remove();
    return found;
  }

  /* The words of a theme in their place; the black of the palette is the ink, which can be seen in either scheme. */
  function coloured(value, colours, isColour = false) {
    if (typeof value === "string") return !isColour ? value : value === "#000000" ? colours.ink : colours[value] || value;
    if (Array.isArray(value)) {
      return isColour || typeof value[0] === "object" ? value.map((v) => coloured(v, colours, isColour)) : value;
    }
    if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
    const entries = Object.entries(value).map(([key, v]) => [key, coloured(v, colours, /colou?r(s|scale|way)?$/.test(key))]);
    return Object.fromEntries(entries);
  }

  /* A colour of six hexadecimal digits with some transparency. */
  function faint(hex, share) {
    const [red, green, blue] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    return `rgba(${red},${green},${blue},${share})`;
  }

  /* A colour between two, `share` of the way to the second. */
  function mixed(from, to, share) {
    const channel = (hex, i) => parseInt(hex.slice(i, i + 2), 16);
    const values = [1, 3, 5].map((i) => Math.round(channel(from, i) + share * (channel(to, i) - channel(from, i))));
    return `rgb(${values.join(",")})`;
  }

  /* Cividis, whose dark end is left off where the page is dark: it must be seen as a mark. */
  function scale(colours) {
    const stops = ["#00204d", "#213d6b", "#555b6c", "#7b7a77", "#a59c74", "#d3c064", "#ffe945"];
    const kept = parseInt(colours.paper.slice(1, 3), 16) < 128 ? ["#3f5f9a", ...stops.slice(2)] : stops;
    return kept.map((colour, i) => [i / (kept.length - 1), colour]);
  }

  function merged(under, over) {
    if (over === undefined) return under;
    if (!under || !over || typeof under !== "object" || typeof over !== "object" || Array.isArray(over)) return over;
    const keys = new Set([...Object.keys(under), ...Object.keys(over)]);
    return Object.fromEntries([...keys].map((key) => [key, merged(under[key], over[key])]));
  }

  function baseLayout(layout, colours, size) {
    const axis = {
      automargin: true, gridcolor: colours.line, linecolor: colours.soft, zeroline: false, showline: true,
      ticks: "outside", ticklen: 4, tickcolor: colours.soft, title: { standoff: 10, font: { size: 13.5 } },
    };
    const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
    const base = {
      ...Object.fromEntries([...new Set(["xaxis", "yaxis", ...axes])].map((key) => [key, axis])),
      autosize: !size.width, height: size.height, font: { family: FONT, size: 12.5, color: colours.ink },
      paper_bgcolor: colours.paper, plot_bgcolor: colours.paper, margin: { l: 52, r: 14, t: 14, b: 44 },
      hovermode: "closest", dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      hoverlabel: { bgcolor: colours.panel, bordercolor: colours.soft, font: { family: FONT, color: colours.ink }, align: "left", namelength: -1 },
      legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", font: { size: 12 } },
      ...(size.width ? { width: size.width } : {}),
    };
    return merged(base, layout);
  }

  /* What plotly draws of a chart, in these colours and this width; `exported` where the controls of the page are not beside it. */
  function drawing(spec, colours, { width, fixed = false, exported = false }) {
    const room = { width, exported };
    const height = typeof spec.height === "function" ? spec.height(width) : spec.height || 340;
    const layout = coloured(spec.layout(colours, room), colours);
    return {
      data: coloured(spec.traces(colours, room), colours),
      layout: baseLayout(layout, colours, { height, width: fixed ? width : 0 }),
      config: CONFIG,
    };
  }

  /* Downloads */

  function save(content, name, type) {
    const url = URL.createObjectURL(new Blob([content], { type }));
    const link = document.body.appendChild(el("a", { href: url, download: name, hidden: true }));
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  /* A cell that no spreadsheet takes for a formula. */
  function cell(value) {
    if (value === null || value === undefined) return "";
    const bare = String(typeof value === "number" ? Number(value.toPrecision(7)) : value);
    const shielded = typeof value === "string" && /^[=+\-@\t\r]/.test(bare) && !Number.isFinite(Number(bare)) ? `'${bare}` : bare;
    return /[",\n\r]/.test(shielded) ? `"${shielded.replace(/"/g, '""')}"` : shielded;
  }

  const csv = ({ header, rows }) => [header, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";

  async function svg(spec) {
    const figure = drawing(spec, onPaper(), { width: EXPORTED, fixed: true, exported: true });
    const address = await Plotly.toImage(figure, { format: "svg", width: EXPORTED, height: figure.layout.height });
    return decodeURIComponent(address.slice(address.indexOf(",") + 1));
  }

  function downloads(spec) {
    const button = (kind, what, get) =>
      el("button", {
        type: "button", "data-download": kind, "aria-label": `${kind.toUpperCase()}: ${what} of “${spec.title}”`,
        title: `Download the ${what}`, onclick: get,
      }, kind.toUpperCase());
    return el("div", { class: "downloads" },
      button("csv", "data", () => save(csv(spec.data()), `${spec.name}.csv`, "text/csv")),
      button("svg", "figure", async () => save(await svg(spec), `${spec.name}.svg`, "image/svg+xml")));
  }

  /* Charts: drawn one at a time, those in sight first, so that the page answers meanwhile */

  const charts = [];
  const waiting = new Set();
  let scheduled = false;

  const inSight = (handle) => {
    const box = handle.plot.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  };

  function draw(handle, colours = theme(), room = { width: handle.plot.clientWidth }) {
    const { data, layout, config } = drawing(handle.spec, colours, room);
    handle.width = room.width;
    const drawn = Plotly.react(handle.plot, data, layout, config);
    if (!handle.listening) {
      handle.listening = true;
      for (const [event, act] of Object.entries(handle.spec.on || {})) handle.plot.on(event, act);
    }
    return drawn;
  }

  function work() {
    const next = [...waiting].find(inSight) || waiting.values().next().value;
    scheduled = Boolean(next);
    document.documentElement.dataset.ready = next ? "0" : "1";
    if (!next) return;
    waiting.delete(next);
    if (next.plot.closest("details.run:not([open])")) { // drawn when its run is opened
      setTimeout(work);
      return;
    }
    setTimeout(work); // before drawing, so that a chart that fails does not keep the others from the page
    draw(next).then(() => performance.getEntriesByName("first-chart").length || performance.mark("first-chart"));
  }

  function update(handle) {
    waiting.add(handle);
    document.documentElement.dataset.ready = "0";
    if (!scheduled) setTimeout(work);
    scheduled = true;
  }

  const updateAll = () => charts.forEach(update);

  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const handle = charts.find((c) => c.plot === target);
      if (target.clientWidth && handle.width !== target.clientWidth) update(handle);
    }
  });

  function chart(host, spec) {
    const plot = el("div", { class: "plot", role: "img", "aria-label": `${spec.title}. ${spec.how}` });
    const title = el("h3", {}, spec.title);
    const note = el("p", { class: "note" });
    const figure = host.matches("figure[data-chart]") ? host : host.appendChild(el("figure", { "data-chart": spec.name }));
    figure.classList.add("chart");
    figure.append(
      el("div", { class: "head" }, title, downloads(spec)),
      ...[spec.controls || []].flat(),
      plot,
      note,
      el("figcaption", { class: "how" }, el("b", {}, "How to read: "), spec.how));
    const handle = { figure, plot, spec };
    handle.update = () => update(handle);
    /* What is to be said of just what is drawn now. */
    handle.note = (words) => note.replaceChildren(...(words ? [words] : []));
    /* The title may change with what is chosen; the names of plot and buttons follow. */
    handle.retitle = (words) => {
      spec.title = title.textContent = words;
      plot.setAttribute("aria-label", `${words}. ${spec.how}`);
      figure.querySelector(".downloads").replaceWith(downloads(spec));
    };
    charts.push(handle);
    resized.observe(plot);
    update(handle);
    return handle;
  }

  /* Charts of the document: whoever made them has escaped what plotly reads as HTML */

  /* Texts around a plane, or their numbers where there is no room. */
  const written = (around, width) => around.map(({ text, number, ...rest }) => ({ ...rest, text: width < ROOMY ? number : text }));

  function documentChart(host, name, { title, how, traces, layout, around, header, rows }) {
    chart(host, {
      name, title, how, traces: () => traces, data: () => ({ header, rows }), height: layout.height,
      layout: (_, { width }) => ({ ...layout, annotations: [...layout.annotations, ...written(around, width)] }),
    });
  }

  /* Start */

  function boot() {
    const source = document.getElementById("page-data");
    if (!source) return;
    const { explorers, charts: drawn } = JSON.parse(source.textContent);
    const figures = [...document.querySelectorAll("main figure[data-chart]")];
    for (const host of document.querySelectorAll("[data-explorer]")) {
      const payload = explorers[Number(host.dataset.explorer)];
      todacomm.explorers[payload.kind](host, payload);
    }
    for (const figure of figures) documentChart(figure, figure.dataset.chart, drawn[figure.dataset.chart]);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", updateAll);
    const folded = [...document.querySelectorAll("details.run")];
    const unfold = () => document.getElementById(location.hash.slice(1))?.closest("details.run")?.setAttribute("open", "");
    addEventListener("hashchange", unfold);
    unfold();
    let closed = [];
    addEventListener("beforeprint", () => {
      closed = folded.filter((run) => !run.open);
      closed.forEach((run) => { run.open = true; });
      const colours = onPaper();
      for (const c of charts) draw(c, colours, { width: PRINTED[c.figure.matches(".charts > :not(.wide)") ? "half" : "whole"], fixed: true, exported: true });
    });
    addEventListener("afterprint", () => {
      closed.forEach((run) => { run.open = false; });
      updateAll();
    });
    document.documentElement.dataset.ready = charts.length ? "0" : "1";
  }

  /* A button that plays what has several moments; it starts when asked for, never by itself. `advance` shows the next moment
     and says whether to go on, `rewind` begins again where the end is reached. */
  const SLOW = 1600; // milliseconds between two moments where motion is to be reduced
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  function player(rewind, advance, pace = 350) {
    let timer = 0;
    const button = el("button", { type: "button", class: "grok-play", onclick: () => (timer ? stop() : start()) });
    const later = () => setTimeout(tick, calm() ? SLOW : pace);
    function named(on) {
      button.textContent = on ? "❚❚" : "▶";
      for (const attribute of ["aria-label", "title"]) button.setAttribute(attribute, on ? "Pause" : "Play");
    }
    function stop() {
      clearTimeout(timer);
      timer = 0;
      named(false);
    }
    function tick() {
      if (advance()) timer = later();
      else stop();
    }
    function start() {
      rewind();
      named(true);
      timer = later();
    }
    named(false);
    return { button, stop };
  }

  window.todacomm = { el, text, wrapped, number, theme, faint, mixed, scale, chart, written, calm, player, explorers: {} };
  document.addEventListener("DOMContentLoaded", boot);
})();
