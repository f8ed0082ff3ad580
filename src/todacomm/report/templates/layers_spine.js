/* Charts along the layers: the profile of a number with its intervals and nulls, what each cloud is worth, expansion. */
(() => {
  "use strict";

  const { text, wrapped, number, faint, mixed } = todacomm;
  const { known, between, padded, valued, pText, percent, listed, cut, free, keyOf, labelOf, claim, inkOf } = todacomm.layers;
  const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star"];
  const symbolOf = (n) => SYMBOLS[(n + Math.floor(n / SYMBOLS.length)) % SYMBOLS.length]; // colours come round after eight, with other marks
  const MARGIN = { wide: 104, narrow: 60 }; // left of the charts that share the axis of the layers
  const RIGHT = 16;
  const PARTS = [
    ["total", "H0 total persistence"],
    ["scale", "its scale: the median distance"],
    ["shape", "its shape: H0 total / median distance"],
  ];

  /* The axis of the layers */

  function axisOf(profiles) {
    const [first] = profiles;
    const same = profiles.every((p) => p.layers.length === first.layers.length && p.layers.every((l, i) => l === first.layers[i]));
    const places = (p) => (same ? p.layers.map((_, i) => i) : p.places);
    const span = same ? first.layers.length - 1 : 1;
    const pad = same ? 0.5 : 0.5 / Math.max(1, Math.max(...profiles.map((p) => p.layers.length)) - 1);
    return { same, places, range: [-pad, span + pad] };
  }

  const marginOf = (width) => (width < 560 ? MARGIN.narrow : MARGIN.wide);

  /* Every name where there is room, else embedding and final and round numbers between. */
  function ticksOf(profile, width) {
    const names = profile.short;
    const isNumber = names.map((s) => /^\d+$/.test(s));
    const longest = Math.max(...names.filter((_, i) => isNumber[i] || !isNumber.includes(true)).map((s) => s.length));
    const room = Math.max(1, Math.floor((width - marginOf(width) - RIGHT) / (10 + 7 * longest)));
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((s) => names.length <= s * room) || names.length;
    const ends = names.map((_, i) => i).filter((i) => !isNumber[i] && (step === 1 || isNumber.includes(true)));
    const clear = (i) => step === 1 || ends.every((e) => Math.abs(e - i) > 0.6 * step);
    const round = (i) => (isNumber[i] ? Number(names[i]) % step === 0 : !isNumber.includes(true) && i % step === 0);
    const kept = names.map((_, i) => i).filter((i) => ends.includes(i) || (round(i) && clear(i)));
    return { tickmode: "array", tickvals: kept, ticktext: kept.map((i) => text(names[i])) };
  }

  function layerAxis(context, width, more = {}) {
    const { axis, profiles } = context;
    const title = axis.same ? context.payload.along : `relative depth: 0 is the first ${context.payload.along}, 1 the last`;
    return { range: axis.range, automargin: false, title: { text: title }, ...(axis.same ? ticksOf(profiles[0], width) : {}), ...more };
  }

  /* A line through all panels at the layer that is chosen. */
  function cursor({ state, axis, profiles }, exported) {
    if (exported) return [];
    const x = axis.places(profiles[state.profile])[state.layer];
    return [{ type: "line", xref: "x", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, layer: "below", line: { color: "accent", width: 2, dash: "dot" } }];
  }

  const spine = (context, width, more, exported = false) => ({
    margin: { l: marginOf(width), r: RIGHT, t: 10, b: 46 }, showlegend: exported && context.profiles.length > 1, shapes: cursor(context, exported), ...more,
  });

  const seen = ({ profiles, state }) => profiles.map((p, i) => [p, i]).filter(([p]) => state.on.has(p.id));

  /* Bands: one polygon for each run of layers where both ends are known; a run of one layer gets some width. */
  function bands(x, low, high, look) {
    const polygons = [];
    const width = 0.12 * (x.length > 1 ? x[1] - x[0] : 1);
    for (let i = 0; i < x.length; i += 1) {
      if (!known(low[i]) || !known(high[i])) continue;
      let end = i;
      while (end + 1 < x.length && known(low[end + 1]) && known(high[end + 1])) end += 1;
      const run = Array.from({ length: end - i + 1 }, (_, k) => i + k);
      const xs = run.length > 1 ? run.map((k) => x[k]) : [x[i] - width, x[i] + width];
      const pick = (ends) => (run.length > 1 ? run.map((k) => ends[k]) : [ends[i], ends[i]]);
      polygons.push([[...xs, ...[...xs].reverse()], [...pick(high), ...pick(low).reverse()]]);
      i = end;
    }
    return polygons.map(([xs, ys]) => ({
      type: "scatter", mode: "lines", x: xs, y: ys, fill: "toself", line: { width: 0 }, hoverinfo: "skip", showlegend: false, ...look,
    }));
  }

  /* What stands for a profile in the legend of a figure that is downloaded or printed. */
  const legendOf = (p, n, theme) => ({
    type: "scatter", mode: "lines+markers", x: [null], y: [null], name: text(p.label), line: { color: inkOf(p, theme), width: 2 },
    marker: { color: inkOf(p, theme), symbol: symbolOf(n), size: 9 },
  });

  /* The profile */

  function hoverOf(profile, i, key) {
    const { value, low, high, test } = claim(profile, key, i);
    const lines = [`<b>${text(profile.label)}, ${text(profile.layers[i])}</b>`, `${valued(value, low, high)} ${between(low, high)}`];
    if (known(test.mean)) lines.push(`noise: ${valued(test.mean, test.low, test.high)} ${between(test.low, test.high)}`);
    if (known(test.p)) lines.push(`p ${pText(test.p)}${known(test.family_wise) ? `, family-wise ${pText(test.family_wise)}` : ""}`);
    if (profile.strip.doubt[i]) lines.push(wrapped(`doubtful: ${profile.strip.doubt[i]}`, 48));
    return lines.join("<br>");
  }

  function profileTraces(context, theme) {
    const { state, axis } = context;
    const key = keyOf(state.metric, free(state));
    const traces = [];
    const shown = seen(context); // the more there are, the fainter are their bands
    for (const [p] of shown.filter(([, n]) => n === state.profile)) { // of several the bands would hide one another
      const tested = p.null[key];
      if (state.null && tested) {
        const ink = shown.length > 1 ? inkOf(p, theme) : theme.soft;
        const hatched = { shape: "/", fgcolor: ink, bgcolor: faint(theme.soft, 0.12), size: 5, solidity: 0.18, fillmode: "overlay" };
        traces.push(...bands(axis.places(p), tested.low, tested.high, { fillcolor: "rgba(0,0,0,0)", fillpattern: hatched }));
        traces.push({ type: "scatter", mode: "lines", x: axis.places(p), y: tested.mean, hoverinfo: "skip", showlegend: false, line: { color: ink, width: 1.2, dash: "dot" } });
      }
    }
    for (const [p, n] of shown) {
      const [x, y, colour] = [axis.places(p), p.values[key] || p.layers.map(() => null), inkOf(p, theme)];
      if (state.band && p.low[key]) traces.push(...bands(x, p.low[key], p.high[key], { fillcolor: faint(colour, 0.1 + 0.1 / shown.length) }));
      const symbols = p.strip.doubt.map((doubt) => symbolOf(n) + (doubt ? "-open" : ""));
      traces.push({
        type: "scatter", mode: "lines+markers", x, y, showlegend: false,
        line: { color: colour, width: 2 }, marker: { color: colour, symbol: symbols, size: 9, line: { color: colour, width: 2 } },
        customdata: p.layers.map((_, i) => [n, i]), hovertext: p.layers.map((_, i) => hoverOf(p, i, key)), hoverinfo: "text",
      }, legendOf(p, n, theme));
    }
    return traces;
  }

  function profileData({ state, profiles }) {
    const key = keyOf(state.metric, free(state));
    const header = ["profile", "data", "pooling", "layer", "relative_depth", "quantity", "unit", "value", "low", "high", "null_mean", "null_low", "null_high", "p", "p_adjusted", "p_family_wise", "doubt"];
    const unit = (p) => (free(state) ? "/ median distance" : state.metric.degree === 0 || state.metric.integer ? "" : p.unit);
    const rows = profiles.flatMap((p) => p.layers.map((layer, i) => {
      const { value, low, high, test } = claim(p, key, i);
      return [p.label, p.data, p.pooling, layer, p.places[i], key, unit(p), value, low, high, test.mean, test.low, test.high, test.p, test.adjusted, test.family_wise, p.strip.doubt[i]];
    }));
    return { header, rows };
  }

  const profileChart = (host, context, on) => todacomm.chart(host, {
    name: "profile", title: "Along the layers", height: (width) => (width < 560 ? 300 : 360), on,
    how: `one mark for each layer; hollow marks are doubtful (the strip below says why). Bands of colour are intervals; the hatched band, dotted in the middle, is what Gaussian noise of the same covariance gives (mean ± 2 spreads)${context.profiles.length > 1 ? `, in the colour of the one whose layers are chosen above, for it alone` : ""}. Click a mark to see its layer.`,
    traces: (theme) => profileTraces(context, theme),
    layout: (_, { width, exported }) => spine(context, width, {
      xaxis: layerAxis(context, width),
      yaxis: { title: { text: text(labelOf(context.state.metric, free(context.state), context.profiles)) }, automargin: false, rangemode: context.state.metric.degree === 1 || context.state.metric.integer ? "tozero" : "normal" },
      ...(seen(context).length ? {} : { annotations: [{ text: "no model is chosen above", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }] }),
    }, exported),
    data: () => profileData(context),
  });

  /* The strip: how much of each cloud was kept, and how many of its points are distinct */

  const shareDistinct = (p) => p.strip.distinct.map((d, i) => (known(d) && p.strip.points[i] ? d / p.strip.points[i] : null));

  function stripRows(context) {
    const rows = [["variance kept", (p) => p.strip.variance_kept], ["distinct points", shareDistinct]];
    const shown = seen(context);
    const gap = shown.length > 1 ? 0.8 : 0; // room for a caption over each block of rows
    return rows.flatMap(([label, of], k) => shown.map(([p, n], i) => ({ p, n, label, shares: of(p), y: -(k * (shown.length + gap) + i) })));
  }

  function stripHover({ p, label, shares }, i) {
    const counted = label === "distinct points" && known(shares[i]) ? ` (${p.strip.distinct[i]} of ${p.strip.points[i]})` : "";
    const lines = [`<b>${text(p.label)}, ${text(p.layers[i])}</b>`, `${label}: ${percent(shares[i])}${counted}`];
    for (const [word, said] of [["doubtful: ", p.strip.doubt[i]], ["", p.strip.note[i]]]) if (said) lines.push(wrapped(word + said, 48));
    return lines.join("<br>");
  }

  /* Half the width of the cell of each layer: cells meet in the middle between two layers. */
  const halves = (x) => x.map((_, i) => Math.min(...[x[i] - x[i - 1], x[i + 1] - x[i]].filter((d) => d > 0), 1) / 2);

  /* A share in its cell: three digits where they fit, and 100 for the whole alone. */
  function shareText(s, cell) {
    const parts = 100 * s;
    if (cell > 40) return s < 1 && s > 0.9995 ? "> 99.9" : padded(parts, 3);
    return String(s < 1 ? Math.min(99, Math.round(parts)) : 100);
  }

  function stripTraces(context, theme, width) {
    const cell = (width - marginOf(width) - RIGHT) / Math.max(...context.profiles.map((p) => p.layers.length));
    const paint = [[0, mixed(theme.paper, theme.warn, 0.6)], [0.5, mixed(theme.paper, theme.warn, 0.12)], [0.75, mixed(theme.paper, theme.accent, 0.08)], [1, mixed(theme.paper, theme.accent, 0.42)]];
    return stripRows(context).map((row) => ({
      type: "heatmap", x: context.axis.places(row.p), y: [row.y], dy: 1, z: [row.shares], zmin: 0, zmax: 1, colorscale: paint, showscale: false, xgap: 2, ygap: 3,
      customdata: [row.p.layers.map((_, i) => [row.n, i])], hovertext: [row.p.layers.map((_, i) => stripHover(row, i))], hoverinfo: "text",
      ...(cell > 26 ? { text: [row.shares.map((s) => (known(s) ? shareText(s, cell) : "–"))], texttemplate: "%{text}", textfont: { size: 11, color: theme.ink } } : {}),
    }));
  }

  /* A frame around each cell of a doubtful layer. */
  function frames(context) {
    return stripRows(context).flatMap(({ p, y }) => {
      const [x, wide] = [context.axis.places(p), halves(context.axis.places(p))];
      const frame = (i) => ({ type: "rect", x0: x[i] - 0.93 * wide[i], x1: x[i] + 0.93 * wide[i], y0: y - 0.4, y1: y + 0.4, line: { color: "ink", width: 2 } });
      return p.layers.map((_, i) => i).filter((i) => p.strip.doubt[i]).map(frame);
    });
  }

  /* Names without the beginning that all of them share, up to a mark between words: what is left tells them apart. */
  function untold(names) {
    const [first] = names;
    const same = [...first].findIndex((_, i) => names.some((n) => n.slice(0, i + 1) !== first.slice(0, i + 1)));
    const shared = first.slice(0, Math.max(0, same)).match(/^.*[-_/ ,]/);
    return (name) => (shared && name.length > 10 ? name.slice(shared[0].length) : name);
  }

  function stripLayout(context, theme, width, exported) {
    const rows = stripRows(context);
    const several = context.profiles.length > 1;
    const square = (p) => `<span style="color:${inkOf(p, theme)}">■</span>`;
    const name = ({ p, label }) => (several ? `${square(p)} ${text(cut(tail(p.label), width < 560 ? 5 : 10))}` : label.replace(" ", "<br>"));
    const tail = untold(context.profiles.map((p) => p.label));
    const tops = several ? rows.filter((row, r) => r === 0 || row.label !== rows[r - 1].label) : [];
    const caption = ({ label, y }) => ({ text: `<b>${label}, %</b>`, xref: "paper", x: 0, xanchor: "left", y: y + 0.46, yanchor: "bottom", showarrow: false, font: { size: 11.5 } });
    const bottom = rows.length ? rows[rows.length - 1].y : 0;
    return spine(context, width, {
      xaxis: layerAxis(context, width, { showgrid: false }), shapes: [...cursor(context, exported), ...frames(context)], annotations: tops.map(caption),
      yaxis: { tickmode: "array", tickvals: rows.map((row) => row.y), ticktext: rows.map(name), range: [bottom - 0.55, several ? 1.2 : 0.55], showgrid: false, ticks: "", showline: false, automargin: false },
    });
  }

  const stripChart = (host, context, on) => todacomm.chart(host, {
    name: "strip", title: "What each cloud is worth: variance kept by the projection, distinct points", on,
    height: () => 62 + 29 * Math.max(1, stripRows(context).length + (seen(context).length > 1 ? 2 : 0)),
    how: "shares in per cent: blue is nearly all, orange little. A framed cell is a doubtful layer, whose numbers carry no sentence of this report; why is told when you point at it, and below when you choose it.",
    traces: (theme, { width }) => stripTraces(context, theme, width),
    layout: (theme, { width, exported }) => stripLayout(context, theme, width, exported),
    data: () => ({
      header: ["profile", "layer", "variance_kept", "points", "distinct_points", "doubt", "note"],
      rows: context.profiles.flatMap((p) => p.layers.map((layer, i) => [p.label, layer, ...["variance_kept", "points", "distinct", "doubt", "note"].map((k) => p.strip[k][i])])),
    }),
  });

  /* Expansion = scale × shape */

  function growthTraces(context, theme) {
    const grown = comparable(context);
    const lines = grown.flatMap(([p, n]) => PARTS.map(([part, label], row) => ({
      type: "scatter", mode: "lines+markers", x: context.axis.places(p), y: p.growth[part], yaxis: `y${row ? row + 1 : ""}`,
      showlegend: false,
      line: { color: inkOf(p, theme), width: 2 },
      marker: { color: inkOf(p, theme), size: 7, symbol: p.strip.doubt.map((d) => symbolOf(n) + (d ? "-open" : "")), line: { color: inkOf(p, theme), width: 2 } },
      customdata: p.layers.map((_, i) => [n, i]), hoverinfo: "text",
      hovertext: p.layers.map((layer, i) => `<b>${text(p.label)}, ${text(layer)}</b><br>${label}:<br>${number(p.growth[part][i], 3)} times that of ${text(p.growth.baseline)}`),
    })));
    return [...lines, ...grown.map(([p, n]) => legendOf(p, n, theme))];
  }

  /* Expansions on one baseline can be set side by side: that of the model whose layers are chosen. */
  const baseOf = ({ profiles, state }) => (profiles[state.profile].growth || profiles.map((p) => p.growth).find(Boolean)).baseline;
  const comparable = (context) => seen(context).filter(([p]) => p.growth && p.growth.baseline === baseOf(context));

  function apart(context) {
    const others = seen(context).map(([p]) => p).filter((p) => p.growth && p.growth.baseline !== baseOf(context));
    return others.length ? `Not drawn: ${listed(others.map((p) => `${p.label} (its baseline is ${p.growth.baseline})`))}. Choose its layers above to see it.` : "";
  }

  const growthTitle = (context) => `Expansion since ${baseOf(context)}, split into scale and shape`;

  /* Round numbers on a log axis, from 1, 2, 5 times a power of ten: as many as have room, 1 among them. */
  function logTicks(low, high, most = 5) {
    const decades = Array.from({ length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 }, (_, k) => Math.floor(Math.log10(low)) + k);
    const within = (leads) => decades.flatMap((k) => leads.map((lead) => Number(`${lead}e${k}`))).filter((t) => t >= low && t <= high);
    const found = [[1, 2, 5], [1, 5], [1]].map(within);
    const chosen = found.find((ticks) => ticks.length <= most) || found[2].filter((t) => Math.log10(t) % Math.ceil(found[2].length / most) === 0);
    return { tickmode: "array", tickvals: chosen, ticktext: chosen.map((t) => (t >= 1e-4 && t < 1e6 ? t.toLocaleString("en-US", { maximumSignificantDigits: 3 }) : t.toExponential())) };
  }

  function growthTicks(context) {
    const values = comparable(context).flatMap(([p]) => PARTS.flatMap(([part]) => p.growth[part])).filter((v) => known(v) && v > 0);
    const [low, high] = [Math.min(1, ...values), Math.max(1, ...values)];
    const room = high > low ? (high / low) ** 0.08 : 1.2;
    return { ...logTicks(low / room, high * room), range: [Math.log10(low / room), Math.log10(high * room)] };
  }

  function growthLayout(context, width, exported) {
    const panel = (i) => [1 - (i + 1) / 3 + 0.02, 1 - i / 3 - 0.06];
    const ticks = growthTicks(context);
    const axis = (i) => ({ type: "log", domain: panel(i), automargin: false, ...ticks, ...(i ? { matches: "y" } : {}) });
    const one = (i) => ({ type: "line", xref: "paper", x0: 0, x1: 1, yref: i ? `y${i + 1}` : "y", y0: 1, y1: 1, layer: "below", line: { color: "soft", width: 1 } });
    const signs = ["", "= ", "× "];
    return spine(context, width, {
      xaxis: layerAxis(context, width, { anchor: "y3" }), yaxis: axis(0), yaxis2: { ...axis(1), title: { text: "times the baseline" } }, yaxis3: axis(2),
      shapes: [...cursor(context, exported), one(0), one(1), one(2)],
      annotations: PARTS.map(([, label], i) => ({ text: `<b>${signs[i]}${label}</b>`, xref: "paper", x: 0, xanchor: "left", yref: "paper", y: panel(i)[1], yanchor: "bottom", showarrow: false })),
    }, exported);
  }

  function growthChart(host, context, on) {
    return todacomm.chart(host, {
      name: "growth", title: growthTitle(context), on, height: (width) => (width < 560 ? 440 : 500),
      how: "times the value at the baseline, on a log axis; 1 is no change. The upper panel is the product of the two below, and equal heights are equal factors: if the upper panel rises with the middle one alone, the cloud has grown without changing its shape.",
      traces: (theme) => growthTraces(context, theme),
      layout: (_, { width, exported }) => growthLayout(context, width, exported),
      data: () => ({
        header: ["profile", "layer", "baseline", "total", "scale", "shape"],
        rows: context.profiles.filter((p) => p.growth).flatMap((p) => p.layers.map((layer, i) => [p.label, layer, p.growth.baseline, p.growth.total[i], p.growth.scale[i], p.growth.shape[i]])),
      }),
    });
  }

  Object.assign(todacomm.layers, { growthTitle, apart, axisOf, ticksOf, profileChart, stripChart, growthChart });
})();
