/* The cloud of one layer: a plane of it, coloured by what is known of its texts, and the texts themselves. */
(() => {
  "use strict";

  const { el, text, wrapped, number, chart } = todacomm;
  const { known, sentence, labelled, choice } = todacomm.layers;
  // Okabe and Ito's colours without black, and marks that tell those apart which come round again
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999"];
  const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "cross", "x", "star"];
  const NAMED = 16; // more classes than these are no legend any more

  const look = (i) => ({ color: COLOURS[i % COLOURS.length], symbol: SYMBOLS[(i + Math.floor(i / COLOURS.length)) % SYMBOLS.length] });

  /* What a point can be coloured by: numbers, or classes with their names */

  function paints(profile, detail) {
    const { texts } = profile;
    const of = (column) => detail.rows.map((r) => column[r]);
    const found = [];
    if (texts.length) found.push({ key: "length", label: "text length, characters", numbers: of(texts.length) });
    found.push({ key: "position", label: texts.count ? "position in the corpus" : "position", numbers: detail.rows.map((r) => r + 1) });
    if (texts.group) found.push({ key: "group", label: "article", classes: of(texts.group), name: (k) => (texts.groups ? texts.groups[k] : `article ${k + 1}`) });
    if (detail.clusters && detail.clusters.length) {
      found.push({ key: "cluster", label: "cluster", classes: detail.clusters, name: (k) => (k < 0 ? "in none" : `cluster ${k + 1}`) });
    }
    return found;
  }

  /* Classes by size; those beyond what a legend can hold are one grey class. */
  function grouped(paint) {
    const sizes = new Map();
    for (const k of paint.classes) sizes.set(k, (sizes.get(k) || 0) + 1);
    const order = [...sizes.keys()].filter((k) => k >= 0).sort((a, b) => sizes.get(b) - sizes.get(a) || a - b);
    const [kept, others] = [order.slice(0, NAMED).sort((a, b) => a - b), new Set([...order.slice(NAMED), ...[...sizes.keys()].filter((k) => k < 0)])];
    const where = (test) => paint.classes.map((k, i) => (test(k) ? i : -1)).filter((i) => i >= 0);
    const rest = where((k) => others.has(k));
    const grey = { name: order.length > NAMED ? `${others.size} smaller ones` : paint.name(-1), points: rest, marker: { color: "soft", symbol: "circle", size: 5, opacity: 0.5 } };
    return [...(rest.length ? [grey] : []), ...kept.map((k, i) => ({ name: paint.name(k), points: where((j) => j === k), marker: { ...look(i), size: 8, opacity: 0.85 } }))];
  }

  /* The ends of a scale of colours: a few extreme texts do not take it all. */
  function middle(numbers) {
    const sorted = [...numbers].sort((a, b) => a - b);
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    return [at(0.02), at(0.98)];
  }

  function hoverOf(profile, paint, detail, i) {
    const { texts } = profile;
    const row = detail.rows[i];
    const value = paint.numbers ? number(paint.numbers[i]) : paint.name(paint.classes[i]);
    const lines = [`<b>${texts.count ? "text" : "point"} ${row + 1}</b>`, `${paint.label}: ${text(value)}`];
    if (texts.items) lines.push(wrapped(texts.items[row], 56));
    return lines.join("<br>");
  }

  function cloud(host, context) {
    const { profileOf, detailOf, layerOf, named, factor } = todacomm.layers;
    const { state } = context;
    const picks = el("div", { class: "controls" });
    const reader = el("div", { class: "reader" });
    const view = () => detailOf(context).views.find((v) => v.name === state.view) || detailOf(context).views[0];
    const paint = () => {
      const found = paints(profileOf(context), detailOf(context));
      return found.find((p) => p.key === state.colour) || found[0];
    };

    function traces(theme) {
      const [detail, plane, by] = [detailOf(context), view(), paint()];
      if (!plane) return [];
      const of = (points, more) => ({
        type: "scatter", mode: "markers", x: points.map((i) => plane.x[i] * factor(context, detail)), y: points.map((i) => plane.y[i] * factor(context, detail)), customdata: points,
        hovertext: points.map((i) => hoverOf(profileOf(context), by, detail, i)), hoverinfo: "text", ...more,
      });
      const all = detail.rows.map((_, i) => i);
      const [cmin, cmax] = by.numbers ? middle(by.numbers) : [0, 0];
      const bar = { thickness: 12, outlinewidth: 0, title: { text: text(by.label), side: "right" } };
      const drawn = by.numbers
        ? [of(all, { showlegend: false, marker: { color: by.numbers, cmin, cmax, colorscale: todacomm.scale(theme), colorbar: bar, size: 7, opacity: 0.9, line: { color: theme.soft, width: 0.5 } } })]
        : grouped(by).map(({ name, points, marker }) => of(points, { name: `${text(todacomm.layers.cut(name, 28))} (${points.length})`, marker }));
      if (known(state.reader)) drawn.push(of([state.reader], { showlegend: false, marker: { color: "rgba(0,0,0,0)", size: 17, line: { color: "ink", width: 3 } } }));
      return drawn;
    }

    function layout() {
      const plane = view();
      const unit = context.state.free ? "/ median distance" : `(${profileOf(context).unit})`;
      const name = plane && plane.name === "components" ? ["first component", "second component"] : ["first coordinate", "second coordinate"];
      return {
        xaxis: { title: { text: `${name[0]} ${unit}` }, zeroline: false }, yaxis: { title: { text: `${name[1]} ${unit}` }, scaleanchor: "x", constrain: "domain" },
        legend: { y: -0.16, yanchor: "top" }, showlegend: !paint().numbers,
      };
    }

    function data() {
      const [{ texts, label }, detail, plane] = [profileOf(context), detailOf(context), view()];
      const by = paints(profileOf(context), detail);
      const header = ["profile", "layer", "text", "x", "y", ...by.map((p) => p.key), ...(texts.items ? ["words"] : [])];
      const value = (p, i) => (p.numbers ? p.numbers[i] : p.name(p.classes[i]));
      return { header, rows: detail.rows.map((r, i) => [label, layerOf(context), r + 1, plane.x[i], plane.y[i], ...by.map((p) => value(p, i)), ...(texts.items ? [texts.items[r]] : [])]) };
    }

    const drawing = chart(host, {
      name: "cloud", title: "Cloud", height: (width) => Math.min(560, Math.max(360, 0.85 * width)),
      how: "one mark for each text, on a plane through the points. A plane shows part of a cloud: a loop of the diagram need not be seen here, and what looks like one need not be one.",
      traces, layout, data, on: { plotly_click: ({ points: [point] }) => read(point.customdata) },
    });
    drawing.figure.classList.add("wide");
    const side = el("div", { class: "side screen" }, picks, reader);
    const beside = el("div", { class: "beside" });
    drawing.plot.replaceWith(beside);
    beside.append(drawing.plot, side);

    /* The texts one by one, for those who use no mouse, and to read them at leisure */
    function read(i) {
      const detail = detailOf(context);
      state.reader = ((i % detail.rows.length) + detail.rows.length) % detail.rows.length;
      tell();
      drawing.update();
    }

    const box = el("input", { type: "number", min: 1, "data-control": "text", onchange: (e) => {
      const wanted = Number(e.target.value) - 1;
      const { rows } = detailOf(context);
      read(rows.reduce((best, r, i) => (Math.abs(r - wanted) < Math.abs(rows[best] - wanted) ? i : best), 0));
    } });
    const step = (words, by) => el("button", { type: "button", "aria-label": by < 0 ? "previous text" : "next text", onclick: () => read(known(state.reader) ? state.reader + by : by < 0 ? -1 : 0) }, words);
    const words = el("p", { class: "reading", "aria-live": "polite" });
    reader.append(el("div", { class: "controls" }, step("‹", -1), labelled("Text", box), step("›", 1)), words);

    function tell() {
      const [{ texts }, detail] = [profileOf(context), detailOf(context)];
      const row = known(state.reader) ? detail.rows[state.reader] : null;
      box.max = texts.count || 1 + Math.max(...detail.rows);
      box.value = row === null ? "" : row + 1;
      const missing = texts.why_not ? `The texts are not in this page: ${texts.why_not}.` : "";
      words.textContent = row === null ? missing || "Point at a mark or choose a text to read it." : texts.items ? texts.items[row] : missing;
      words.classList.toggle("quoted", row !== null && Boolean(texts.items));
    }

    function refresh() {
      const detail = detailOf(context);
      const plane = view();
      drawing.retitle(`Cloud: ${named(context)}`);
      for (const part of [drawing.plot, reader, picks]) part.hidden = !plane;
      if (!plane) {
        drawing.note(profileOf(context).no_views || "This layer has no plane to show.");
        return;
      }
      const sort = choice("Plane", "plane", detail.views.map((v) => [v.name, v.label]), plane.name, (v) => { state.view = v; refresh(); });
      const by = el("select", { "data-control": "colour", onchange: (e) => { state.colour = e.target.value; drawing.update(); } },
        paints(profileOf(context), detail).map((p) => el("option", { value: p.key, selected: p.key === paint().key }, p.label)));
      picks.replaceChildren(...[detail.views.length > 1 && sort, labelled("Colour", by)].filter(Boolean));
      const fewer = detail.rows.length < profileOf(context).texts.count ? `${detail.rows.length} of ${profileOf(context).texts.count} texts are shown` : "";
      drawing.note([`${plane.label}: ${plane.note}`, fewer, detail.clusters_note].filter(Boolean).map(sentence).join(" "));
      tell();
      drawing.update();
    }

    return { refresh };
  }

  todacomm.layers.cloud = cloud;
})();
