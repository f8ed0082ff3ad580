/* What moves: the clock, the persistence diagram, the spectrum, and Lissajous figures, each at the step of the slider. */
(() => {
  "use strict";

  const { el, text, number } = todacomm;
  const grok = (todacomm.grok = todacomm.grok || {});
  const NAMED = 12; // residues that are named on the large clock
  const SIDE = 1.55, AWAY = 0.17; // root mean square radii: half a plane, and between a point and its name; few points lie beyond
  const H0 = "#0072B2", H1 = "#D55E00";

  const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
  const range = (count) => Array.from({ length: count }, (_, i) => i);
  const bare = { visible: false, fixedrange: true, showgrid: false, zeroline: false };
  const stepText = (state) => {
    const moment = state.moment();
    return `step ${state.step().toLocaleString("en-US")}${moment && `, ${moment}`}`;
  };

  /* The hues of the wheel, lighter on dark paper. */
  function wheelOf(frames, theme) {
    const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    const dark = Math.max(...channels(theme.paper)) < 128;
    return dark ? frames.wheel.map((hex) => `rgb(${channels(hex).map((c) => Math.round(c + 0.28 * (255 - c))).join(",")})`) : frames.wheel;
  }

  /* The clock */

  const hour = (frames, plane, place) => (place * plane.frequency) % frames.residues.length;
  const closed = (list) => [...list, list[0]];

  function ring(frames, plane, i) {
    const joined = closed(plane.joined);
    return { x: joined.map((place) => plane.x[i][place]), y: joined.map((place) => plane.y[i][place]) };
  }

  const namedPlaces = (plane) => range(Math.min(NAMED, plane.joined.length)).map((j) => plane.joined[Math.floor((j * plane.joined.length) / Math.min(NAMED, plane.joined.length))]);

  /* The names stand outside their points and outside the ideal circle. */
  function names(plane, i) {
    const at = namedPlaces(plane).map((place) => {
      const [x, y] = [plane.x[i][place], plane.y[i][place]];
      const radius = Math.hypot(x, y) || 1;
      const out = (Math.max(radius, 1.1) + AWAY) / radius;
      return [x * out, y * out];
    });
    return { x: at.map(([x]) => x), y: at.map(([, y]) => y) };
  }

  function caption(state, plane) {
    const i = state.frame;
    const loop = plane.loop[i] === null ? "" : ` · H1 max ${number(plane.loop[i], 3)}`;
    return `k = ${plane.frequency}: ${percent(plane.share[i])} of the variance · order ${plane.order[i].toFixed(2)} (random ${state.frames.chance.toFixed(2)})${loop}`;
  }

  /* What is said above a figure that is kept; on the page an element of its own says it. */
  const said = (words, { exported }) =>
    exported ? [{ xref: "paper", x: 0, xanchor: "left", yref: "paper", y: 1, yanchor: "bottom", yshift: 4, showarrow: false, text: text(words), font: { size: 12 } }] : [];

  /* Sides in pixels: a large plane, and below it the small ones in a row. */
  function sizes(frames, width) {
    const large = Math.min(width - 8, 420);
    const small = frames.planes.length > 1 ? Math.min((width - 8) / frames.planes.length, 112) : 0;
    return { large, small, top: 24, height: 24 + large + (small ? 22 + small : 0) };
  }

  function clockLayout(state, room) {
    const { width } = room;
    const { planes } = state.frames;
    const { large, small, top, height } = sizes(state.frames, width);
    const inner = height - top;
    const limits = { ...bare, range: [-SIDE, SIDE] };
    const left = (width - large) / 2 / width;
    const found = {
      xaxis: { ...limits, domain: [left, 1 - left] }, yaxis: { ...limits, domain: [1 - large / inner, 1] },
      margin: { l: 0, r: 0, t: top, b: 0 }, hovermode: "closest", dragmode: false, showlegend: false, hoverdistance: 10,
      annotations: said(`${stepText(state)} · ${caption(state, planes[state.large])}`, room),
    };
    if (!small) return found;
    const each = width / planes.length;
    planes.forEach((plane, j) => {
      const start = (j * each + (each - small) / 2) / width;
      found[`xaxis${j + 2}`] = { ...limits, domain: [start, start + small / width] };
      found[`yaxis${j + 2}`] = { ...limits, domain: [0, small / inner] };
      found.annotations.push({
        xref: "paper", x: start + small / width / 2, xanchor: "center", yref: "paper", y: small / inner, yanchor: "bottom", showarrow: false,
        text: j === state.large ? `<b>k = ${plane.frequency}</b>` : `k = ${plane.frequency}`, font: { size: 12 },
      });
    });
    return found;
  }

  function clockTraces(state, theme) {
    const { frames, frame: i, large } = state;
    const plane = frames.planes[large];
    const wheel = wheelOf(frames, theme);
    const colour = (p, place) => wheel[hour(frames, p, place)];
    const joined = closed(plane.joined);
    const hours = frames.residues.length;
    const told = joined.map((place) => [frames.residues[place], hour(frames, plane, place)]);
    return [
      {
        type: "scatter", mode: "lines+markers", ...ring(frames, plane, i), line: { color: "soft", width: 0.7 },
        marker: { size: 8, color: joined.map((place) => colour(plane, place)), opacity: 1 }, customdata: told, cliponaxis: false,
        hovertemplate: `residue <b>%{customdata[0]}</b><br>hour %{customdata[1]} of ${hours}<extra></extra>`,
      },
      {
        type: "scatter", mode: "text", ...names(plane, i), text: namedPlaces(plane).map((place) => String(frames.residues[place])), hoverinfo: "skip",
        textfont: { size: 12, color: namedPlaces(plane).map((place) => colour(plane, place)) }, cliponaxis: false,
      },
      ...(frames.planes.length > 1 ? frames.planes : []).map((p, j) => ({
        type: "scatter", mode: "markers", x: p.x[i], y: p.y[i], xaxis: `x${j + 2}`, yaxis: `y${j + 2}`,
        marker: { size: 3.6, color: range(p.joined.length).map((place) => colour(p, place)), opacity: 1 }, customdata: frames.residues,
        hovertemplate: `k = ${p.frequency}, residue %{customdata}<extra></extra>`,
      })),
    ];
  }

  function clockData(state) {
    const { frames, frame: i } = state;
    const rows = frames.planes.flatMap((p) => p.joined.map((place) => [state.step(), p.frequency, frames.residues[place], hour(frames, p, place), p.x[i][place], p.y[i][place]]));
    return { header: ["step", "frequency", "residue", "hour", "x", "y"], rows };
  }

  function clock(host, state) {
    const { planes } = state.frames;
    const large = planes.length > 1 ? grok.choice("Large:", planes.map((p) => `k = ${p.frequency}`), 0, (j) => { state.large = j; told.textContent = caption(state, planes[j]); handle.update(); }) : null;
    const told = el("p", { class: "grok-caption" });
    const handle = grok.moving(state, {
      host, name: "clock", title: "The clock: residues on circles",
      how: "The embedding on the plane of each of its strongest frequencies k at the end of training, in units of the root mean square radius. Colour is the hour, k·a mod p: where the " +
        "colours run once around, the residues stand in order. The line goes from each residue to the next in the order in which the angle advances: a circle where they are in order, a tangle " +
        "where not. Order is |mean exp i(angle − hour)|, 1 for perfect hours; each plane is chosen for its frequency, so that even random rows have some." +
        (state.frames.logarithms ? " Here a stands for the discrete logarithm of the residue." : ""),
      controls: [large && el("div", { class: "controls" }, large.element), told].filter(Boolean), height: (width) => sizes(state.frames, width).height,
      traces: (theme) => clockTraces(state, theme), layout: (_, room) => clockLayout(state, room), data: () => clockData(state),
      on: { plotly_click: ({ points }) => { if (large && points[0].curveNumber > 1) large.press(points[0].curveNumber - 2); } },
    }, () => { told.textContent = caption(state, planes[state.large]); });
  }

  /* The diagram */

  const lifetimes = (bars) => bars.map(([b, d]) => d - b);

  function barTraces(frames, i) {
    const [bars, zero] = [frames.bars[i], frames.zero[i]];
    const life = lifetimes(bars);
    return [
      { x: zero.map(() => 0), y: zero },
      { x: bars.map(([b]) => b), y: bars.map(([, d]) => d) },
      { x: bars.slice(0, 1).map(([b]) => b), y: bars.slice(0, 1).map(([, d]) => d) },
      { x: bars.map(([b]) => b), y: life },
      { x: bars.slice(0, 1).map(([b]) => b), y: life.slice(0, 1) },
    ];
  }

  const LOOKS = [
    { name: "H0", marker: { color: H0, size: 5, opacity: 0.6, symbol: "circle" } },
    { name: "H1", marker: { color: H1, size: 5, opacity: 0.6, symbol: "square" } },
    { name: "longest", marker: { color: "ink", size: 13, symbol: "circle-open", line: { width: 1.6 } } },
    { name: "H1", marker: { color: H1, size: 5, opacity: 0.6, symbol: "square" } },
    { name: "longest", marker: { color: "ink", size: 13, symbol: "circle-open", line: { width: 1.6 } } },
  ];

  function diagramTraces(state) {
    return barTraces(state.frames, state.frame).map((places, j) => {
      const right = j > 2;
      const said = right ? "lifetime %{y:.4~g}" : "death %{y:.4~g}";
      return {
        type: "scatter", mode: "markers", ...LOOKS[j], ...places, xaxis: right ? "x2" : "x", yaxis: right ? "y2" : "y", showlegend: !right,
        hovertemplate: `${LOOKS[j].name}<br>birth %{x:.4~g}, ${said}<extra></extra>`,
      };
    });
  }

  /* Axes that hold every frame, so that what moves is the diagram and not its axes. */
  function diagramLimits(frames) {
    const all = frames.bars.flat();
    const births = all.map(([b]) => b);
    const latest = frames.bars.reduce((most, bars) => bars.reduce((m, [, d]) => Math.max(m, d), most), 0);
    const late = frames.zero.reduce((most, deaths) => deaths.reduce((m, d) => Math.max(m, d), most), latest) || 1;
    const least = births.reduce((m, b) => Math.min(m, b), late);
    const most = births.reduce((m, b) => Math.max(m, b), 0);
    const longest = lifetimes(all).reduce((m, l) => Math.max(m, l), 0) || 1;
    const margin = 0.06 * (most - least || 1);
    return { end: 1.06 * late, births: [least - margin, most + margin], longest: 1.12 * longest };
  }

  function longestWords(state) {
    const [first] = lifetimes(state.frames.bars[state.frame].slice(0, 1));
    return `${stepText(state)}: ${first === undefined ? "no loop" : `H1 max ${number(first, 3)}`}, ${state.frames.bars[state.frame].length} loops in all`;
  }

  function diagramLayout(state, limits, room) {
    const { width } = room;
    const side = width >= 430;
    const { one_more: ahead } = state.payload.band || {};
    const on = `${state.frames.view}` === "sphere" ? "chord on the unit sphere" : "activation units";
    return {
      xaxis: { domain: side ? [0, 0.44] : [0, 1], range: [-0.04 * limits.end, limits.end], title: grok.titled(side ? "birth" : `birth (${on})`), nticks: 5, fixedrange: true },
      yaxis: { domain: side ? [0, 1] : [0.58, 1], range: [-0.04 * limits.end, limits.end], title: grok.titled(side ? `death (${on})` : "death"), nticks: 5, fixedrange: true },
      xaxis2: { domain: side ? [0.57, 1] : [0, 1], anchor: "y2", range: limits.births, title: grok.titled(side ? "birth" : `birth (${on})`), nticks: 5, fixedrange: true },
      yaxis2: { domain: side ? [0, 1] : [0, 0.39], anchor: "x2", range: [0, limits.longest], title: grok.titled("lifetime, H1"), nticks: 5, fixedrange: true },
      margin: { l: 48, r: 8, t: room.exported ? 48 : 26, b: 42 }, legend: { y: 1, yref: "paper", itemclick: false, itemdoubleclick: false, font: { size: 11.5 } }, hoverdistance: 10,
      shapes: [
        { type: "line", x0: 0, y0: 0, x1: limits.end, y1: limits.end, line: { color: "soft", width: 1 }, layer: "below" },
        ...(ahead ? [{ type: "rect", xref: "x2 domain", x0: 0, x1: 1, yref: "y2", y0: ahead[0], y1: Math.min(ahead[1], limits.longest), line: { width: 0 }, fillcolor: "rgba(140,140,140,0.25)", layer: "below" }] : []),
      ],
      annotations: said(longestWords(state), room).map((note) => ({ ...note, yshift: 24 })),
    };
  }

  function diagram(host, state) {
    const { frames } = state;
    const limits = diagramLimits(frames);
    const banded = state.payload.band && state.payload.band.one_more;
    const left = Math.max(...frames.left_out) > 0 ? " Where a frame has very many bars, the shortest are left out." : "";
    const told = el("p", { class: "grok-caption" });
    grok.moving(state, {
      host, name: "diagram", title: `Persistence diagram of ${state.payload.followed.split("/")[0].replace("_", " ")}, ${frames.run}`,
      how: "Each mark is one bar of the followed cloud: born at the distance on the horizontal axis, dead at the one on the vertical axis; far above the diagonal means long-lived. Beside it the " +
        `loops alone (H1) by their lifetime, the longest ringed${banded ? "; the grey band is where the longest of one more control would end" : ""}.${left}`,
      height: (width) => (width >= 430 ? 310 : 560), controls: told, traces: () => diagramTraces(state), layout: (_, room) => diagramLayout(state, limits, room),
      data: () => ({
        header: ["step", "dimension", "birth", "death"],
        rows: [...frames.zero[state.frame].map((d) => [state.step(), 0, 0, d]), ...frames.bars[state.frame].map(([b, d]) => [state.step(), 1, b, d]),
          ...frames.essential[state.frame].map((b) => [state.step(), 1, b, null])],
      }),
    }, () => { told.textContent = longestWords(state); });
  }

  /* The spectrum */

  function spectrum(host, state) {
    const { frames } = state;
    const most = Math.max(...frames.spectrum.filter(Boolean).flat());
    const dominant = new Set(frames.planes.map((p) => p.frequency));
    const shares = () => frames.spectrum[state.frame] || [];
    const count = frames.spectrum.find(Boolean).length;
    grok.moving(state, {
      host, name: "spectrum", title: `Fourier spectrum of the embedding, ${frames.run}`,
      how: "The share of the variance of the embedding at each frequency, at the step of the slider; coloured are the frequencies whose planes the clock shows. An even field means no rule by few frequencies; a few tall bars mean one.",
      height: 210,
      traces: () => [{
        type: "bar", x: range(count).map((k) => k + 1), y: shares(), marker: { color: range(count).map((k) => (dominant.has(k + 1) ? "accent" : "soft")), line: { width: 0 } },
        text: range(count).map((k) => (dominant.has(k + 1) ? String(k + 1) : "")), textposition: "outside", cliponaxis: false, textangle: 0, constraintext: "none", textfont: { size: 11 },
        hovertemplate: "frequency %{x}: %{y:.2%} of the variance<extra></extra>",
      }],
      layout: () => ({
        xaxis: { title: grok.titled("frequency k"), range: [0.2, count + 0.8], fixedrange: true, showgrid: false, nticks: 10 },
        yaxis: { title: grok.titled("share of variance"), range: [0, 1.16 * most], tickformat: ".0%", nticks: 5, fixedrange: true }, bargap: 0.25, margin: { t: 8, l: 50, r: 8, b: 42 },
      }),
      data: () => ({
        header: ["run", "step", "frequency", "share"],
        rows: state.payload.spectra.flatMap((s) => s.steps.flatMap((step, t) => s.shares[t].map((share, k) => [s.run, step, k + 1, share]))),
      }),
    });
  }

  /* Lissajous figures */

  const strides = (stride, order) => range(order + 1).map((j) => (j * stride) % order);
  const ordinal = (n) => `${n}${[, "st", "nd", "rd"][n % 100 > 10 && n % 100 < 14 ? 0 : n % 10] || "th"}`;

  function pairTraces(state, theme) {
    const { frames, frame: i } = state;
    const order = frames.residues.length;
    const wheel = wheelOf(frames, theme);
    return frames.pairs.flatMap(({ planes: [a, b], stride }, j) => {
      const [one, other] = [frames.planes[a], frames.planes[b]];
      const along = strides(stride, order);
      const on = { xaxis: j ? `x${j + 1}` : "x", yaxis: j ? `y${j + 1}` : "y" };
      const wave = (k) => along.map((place) => Math.cos((2 * Math.PI * k * place) / order));
      return [
        { type: "scatter", mode: "lines", ...on, x: wave(one.frequency), y: wave(other.frequency), line: { color: "line", width: 3 }, hoverinfo: "skip", showlegend: false },
        {
          type: "scatter", mode: "lines+markers", ...on, x: along.map((p) => one.x[i][p]), y: along.map((p) => other.x[i][p]), line: { color: "soft", width: 0.7 },
          marker: { size: 5.5, color: along.map((_, turn) => wheel[turn % order]), opacity: 1 }, customdata: along.map((p) => frames.residues[p]),
          hovertemplate: "residue %{customdata}<extra></extra>", showlegend: false,
        },
      ];
    });
  }

  function pairsLayout(frames, { width }) {
    const columns = width < 520 ? 1 : frames.pairs.length;
    const gap = 0.06;
    const each = columns === 1 ? 1 : (1 - gap * (columns - 1)) / columns;
    const found = { annotations: [], margin: { l: 34, r: 8, t: 44, b: 34 }, dragmode: false, hovermode: "closest" };
    const down = columns === 1 ? frames.pairs.length : 1;
    const [space, tall] = [0.13, (1 - 0.13 * (down - 1)) / down];
    frames.pairs.forEach(({ planes: [a, b], stride, turns }, j) => {
      const n = j ? j + 1 : "";
      const [k, l] = [frames.planes[a].frequency, frames.planes[b].frequency];
      const x = columns === 1 ? [0, 1] : [j * (each + gap), j * (each + gap) + each];
      const y = columns === 1 ? [1 - j * (tall + space) - tall, 1 - j * (tall + space)] : [0, 1];
      const own = { range: [-SIDE, SIDE], fixedrange: true, showticklabels: false, ticks: "", showgrid: false };
      found[`xaxis${n}`] = { ...own, domain: x, anchor: `y${n}`, title: grok.titled(`cos, k = ${k}`), constrain: "domain" };
      found[`yaxis${n}`] = { ...own, domain: y, anchor: `x${n}`, title: grok.titled(`cos, k = ${l}`), scaleanchor: `x${n}`, constrain: "domain" };
      found.annotations.push({
        xref: "paper", x: (x[0] + x[1]) / 2, xanchor: "center", yref: "paper", y: y[1], yanchor: "bottom", yshift: 4, showarrow: false, font: { size: 12 },
        text: `<b>k = ${k} and ${l}: ${turns[0]} : ${turns[1]}</b><br>${stride === 1 ? "every residue" : `every ${ordinal(stride)} residue`}`,
      });
    });
    return found;
  }

  function lissajous(host, state) {
    const { frames } = state;
    grok.moving(state, {
      host, name: "lissajous", title: "Lissajous figures of pairs of frequencies",
      how: "The cosine components of the embedding at two of its strongest frequencies against each other, at the step of the slider, over the same of ideal waves (the broad pale line). The residues are joined in the " +
        "stride at which both turn slowest, which draws the Lissajous figure of that ratio; colour is the turn. Where the network has no such circles the line is a tangle.",
      height: (width) => (width < 520 ? frames.pairs.length * Math.min(width, 380) : Math.min(400, (width - 40) / frames.pairs.length + 78)),
      traces: (theme) => pairTraces(state, theme), layout: (_, room) => pairsLayout(frames, room),
      data: () => ({
        header: ["step", "frequency x", "frequency y", "turn", "residue", "x", "y"],
        rows: frames.pairs.flatMap(({ planes: [a, b], stride }) => strides(stride, frames.residues.length).slice(0, -1).map((p, turn) =>
          [state.step(), frames.planes[a].frequency, frames.planes[b].frequency, turn, frames.residues[p], frames.planes[a].x[state.frame][p], frames.planes[b].x[state.frame][p]])),
      }),
    });
  }

  grok.stage = (stage, below, state) => {
    const { frames } = state;
    if (frames.planes.length) clock(stage, state);
    else stage.append(el("p", { class: "absent" }, `No clock and no Lissajous figures${frames.spectrum ? "" : ", no spectrum"}: ${frames.why_not}.`));
    diagram(stage, state);
    if (frames.spectrum) spectrum(stage, state);
    if (frames.planes.length && frames.pairs.length) lissajous(below, state);
  };
})();
