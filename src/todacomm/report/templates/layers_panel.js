/* The panel of one layer: its diagram, barcode and Betti curves, its numbers, and how far it lies from the other layers. */
(() => {
  "use strict";

  const { el, text, number, faint, chart } = todacomm;
  const { known, between, valued, pText, percent, keyOf, claim, sentence, toggle } = todacomm.layers;
  const COLOURS = ["#0072B2", "#D55E00", "#009E73"]; // H0, H1, H2, as in the figures
  const SYMBOLS = ["circle", "square", "diamond"];
  const DRAWN = 150; // bars of a barcode
  const bySize = ([a, b], [c, d]) => d - c - (b - a);

  const profileOf = ({ profiles, state }) => profiles[state.profile];
  const detailOf = (context) => profileOf(context).details[context.state.layer];
  const layerOf = (context) => profileOf(context).layers[context.state.layer];
  const unitOf = (context) => (context.state.free ? "/ median distance" : `(${profileOf(context).unit})`);
  const named = (context) => `${profileOf(context).label}, ${layerOf(context)}`;
  const count = (n, noun) => `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;

  /* Lengths are divided by the median distance of their own layer where scale-free is chosen. */
  const factor = ({ state }, detail) => (state.free && detail.median ? 1 / detail.median : 1);
  const scaled = (context, detail) => detail.bars.map((bars) => bars.map(([b, d]) => [b * factor(context, detail), d * factor(context, detail)]));
  const immortal = (context, detail) => detail.essential.map((births) => births.map((b) => b * factor(context, detail)));

  /* The largest end of a bar: of this layer, or of all layers of the profile, so that they can be compared by eye. */
  function limitOf(context) {
    const details = context.state.same ? profileOf(context).details : [detailOf(context)];
    let most = 0;
    for (const detail of details) {
      const by = factor(context, detail);
      for (const bars of detail.bars) for (const bar of bars) most = Math.max(most, bar[1] * by);
      for (const births of detail.essential) for (const birth of births) most = Math.max(most, birth * by);
    }
    return most || 1;
  }

  const lifetimes = (bars) => bars.map(([b, d]) => [b, d, d - b]);
  const HOVER = "born %{customdata[0]:.4g}<br>dies %{customdata[1]:.4g}<br>lifetime %{customdata[2]:.4g}";

  function barRows(context) {
    const detail = detailOf(context);
    const finite = scaled(context, detail).flatMap((bars, k) => bars.map(([b, d], i) => [`H${k}`, b, d, k === 1 && detail.significant.includes(i) ? "yes" : ""]));
    const rest = immortal(context, detail).flatMap((births, k) => births.map((b) => [`H${k}`, b, "never", ""]));
    const unit = context.state.free ? "/ median distance" : profileOf(context).unit;
    return {
      header: ["profile", "layer", "dimension", "birth", "death", "beyond_noise", "unit"],
      rows: [...finite, ...rest].map((row) => [profileOf(context).label, layerOf(context), ...row, unit]),
    };
  }

  /* Persistence diagram */

  function diagramTraces(context, theme) {
    const [detail, top] = [detailOf(context), 1.06 * limitOf(context)];
    const points = (bars, k, more) => ({
      type: "scatter", mode: "markers", x: bars.map((b) => b[0]), y: bars.map((b) => b[1]), customdata: lifetimes(bars), hovertemplate: `<b>H${k}</b><br>${HOVER}<extra></extra>`, ...more,
    });
    const traces = [{ type: "scatter", mode: "lines", x: [0, top], y: [0, top], line: { color: "soft", width: 1 }, hoverinfo: "skip", showlegend: false }];
    scaled(context, detail).forEach((bars, k) => {
      const loops = k === 1 ? detail.significant : [];
      traces.push(points(bars.filter((_, i) => !loops.includes(i)), k, {
        name: `H${k} (${bars.length})`, marker: { color: faint(COLOURS[k], 0.75), symbol: SYMBOLS[k], size: k ? 7 : 6 },
      }));
      if (loops.length) traces.push(points(loops.map((i) => bars[i]), k, {
        name: `loops (${loops.length})`, marker: { color: COLOURS[1], symbol: "star", size: 15, line: { color: theme.ink, width: 1.5 } },
      }));
    });
    immortal(context, detail).forEach((births, k) => births.length && traces.push({
      type: "scatter", mode: "markers", x: births, y: births.map(() => top), name: `H${k} that never dies (${births.length})`, cliponaxis: false,
      marker: { color: COLOURS[k], symbol: "triangle-up", size: 11, line: { color: theme.ink, width: 1 } }, hovertemplate: `<b>H${k}</b><br>born %{x:.4g}<br>never dies<extra></extra>`,
    }));
    return traces;
  }

  function diagramLayout(context) {
    const top = 1.06 * limitOf(context);
    return {
      xaxis: { title: { text: `birth ${unitOf(context)}` }, range: [-0.03 * top, top] },
      yaxis: { title: { text: `death ${unitOf(context)}` }, range: [0, 1.02 * top] },
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: top, y1: top, layer: "below", line: { color: "soft", width: 1, dash: "dash" } }],
      annotations: [{ text: "∞", xref: "paper", x: 1, xanchor: "left", y: top, yanchor: "middle", showarrow: false, font: { size: 15, color: "soft" } }],
    };
  }

  const diagramChart = (host, context) => chart(host, {
    name: "diagram", title: "Persistence diagram", height: (width) => Math.min(480, Math.max(340, 0.8 * width)),
    how: "each mark is a component (H0), a loop (H1) or a void (H2): right where it appears as points within a distance are joined, up where it is filled. Far above the diagonal is long-lived; a star is a loop: a bar that stands out of Gaussian clouds of its layer, and of those of its own group of points.",
    traces: (theme) => diagramTraces(context, theme), layout: () => diagramLayout(context), data: () => barRows(context),
  });

  /* Barcode */

  /* How many bars of each dimension are drawn: the loops and voids first, for H0 has one for each point. */
  function quotas(counts) {
    const shares = counts.map((n, k) => Math.min(n, k ? Math.floor(DRAWN / counts.length) : DRAWN));
    shares[0] = Math.min(counts[0], DRAWN - shares.slice(1).reduce((a, b) => a + b, 0));
    return shares;
  }

  function chosenBars(context) {
    const detail = detailOf(context);
    const all = scaled(context, detail).map((bars, k) => bars.map((bar, i) => [...bar, k === 1 && detail.significant.includes(i)]));
    const sizes = quotas(all.map((bars) => bars.length));
    return all.map((bars, k) => [...bars].sort(bySize).filter((bar, i) => i < sizes[k] || bar[2]));
  }

  function barcodeTraces(context) {
    let rank = 0;
    const block = (bars, look) => {
      const [x, y, customdata] = [[], [], []];
      for (const [b, d, at] of bars) {
        x.push(b, d, null);
        y.push(at, at, null);
        customdata.push([b, d, d - b], [b, d, d - b], null);
      }
      return { type: "scatter", mode: "lines", x, y, customdata, ...look };
    };
    return chosenBars(context).flatMap((bars, k) => {
      const placed = bars.map(([b, d, loop]) => [b, d, (rank -= 1), loop]);
      rank -= 3;
      const look = (name, width) => ({ name, line: { color: COLOURS[k], width }, hovertemplate: `<b>H${k}</b><br>${HOVER}<extra></extra>` });
      const [plain, loops] = [placed.filter((bar) => !bar[3]), placed.filter((bar) => bar[3])];
      return [block(plain, look(`H${k}`, 1.6)), ...(loops.length ? [block(loops, look("loops", 5))] : [])];
    });
  }

  function barcodeNote(context) {
    const detail = detailOf(context);
    const sizes = chosenBars(context).map((bars) => bars.length);
    const told = detail.bars.map((bars, k) => `${sizes[k]} of ${count(bars.length + (detail.left_out[k] || 0), "bar")} of H${k}`);
    const all = detail.bars.every((bars, k) => sizes[k] === bars.length + (detail.left_out[k] || 0));
    return all ? "" : `Drawn: ${told.join(", ")}; the longest.`;
  }

  const barcodeChart = (host, context) => chart(host, {
    name: "barcode", title: "Barcode", height: (width) => Math.min(480, Math.max(340, 0.8 * width)),
    how: "each bar runs from the distance at which a component or a loop appears to that at which it is gone; the longest of each dimension on top. Thick bars are loops, which are drawn whatever their length.",
    traces: () => barcodeTraces(context),
    layout: () => ({ xaxis: { title: { text: `distance ${unitOf(context)}` }, range: [0, 1.04 * limitOf(context)] }, yaxis: { showticklabels: false, ticks: "", showgrid: false, title: { text: "bars, longest on top" } } }),
    data: () => barRows(context),
  });

  /* Betti curves: how many bars are alive at each distance */

  function bettiCurve(bars, births, end) {
    const events = [...bars.flatMap(([b, d]) => [[b, 1], [d, -1]]), ...births.map((b) => [b, 1])].sort((a, b) => a[0] - b[0]);
    const [x, y] = [[0], [0]];
    let alive = 0;
    for (const [at, change] of events) {
      alive += change;
      if (x[x.length - 1] === at) y[y.length - 1] = alive;
      else {
        x.push(at);
        y.push(alive);
      }
    }
    return { x: [...x, end], y: [...y, alive] };
  }

  function bettiCurves(context) {
    const [detail, end] = [detailOf(context), 1.04 * limitOf(context)];
    const essential = immortal(context, detail);
    return scaled(context, detail).map((bars, k) => bettiCurve(bars, essential[k] || [], end));
  }

  const bettiChart = (host, context) => chart(host, {
    name: "betti", title: "Betti curves", height: (width) => Math.min(480, Math.max(340, 0.8 * width)),
    how: "how many components (upper panel), loops and voids (lower panel) there are when points closer than a distance are joined.",
    traces: () => bettiCurves(context).map(({ x, y }, k) => ({
      type: "scatter", mode: "lines", x, y, yaxis: k ? "y2" : "y", name: `H${k}`, line: { shape: "hv", color: COLOURS[k], width: 2, dash: ["solid", "solid", "dash"][k] },
      hovertemplate: `β<sub>${k}</sub> = %{y}<br>at %{x:.4g}<extra></extra>`,
    })),
    layout: () => {
      const several = detailOf(context).bars.length > 1;
      return {
        xaxis: { title: { text: `distance ${unitOf(context)}` }, range: [0, 1.04 * limitOf(context)], anchor: several ? "y2" : "y" },
        yaxis: { title: { text: "components, β<sub>0</sub>" }, domain: several ? [0.55, 1] : [0, 1], rangemode: "tozero" },
        ...(several ? { yaxis2: { title: { text: detailOf(context).bars.length > 2 ? "loops, voids" : "loops, β<sub>1</sub>" }, domain: [0, 0.45], rangemode: "tozero" } } : {}),
      };
    },
    data: () => ({
      header: ["profile", "layer", "dimension", "distance", "betti"],
      rows: bettiCurves(context).flatMap(({ x, y }, k) => x.map((at, i) => [profileOf(context).label, layerOf(context), `H${k}`, at, y[i]])),
    }),
  });

  function leftOut(context) {
    const told = detailOf(context).left_out.map((n, k) => (n ? `${count(n, "bar")} of H${k}` : "")).filter(Boolean);
    return told.length ? `Without the shortest: ${told.join(", ")} are not kept in this page.` : "";
  }

  /* What is known of the layer, in words and numbers */

  function facts(context) {
    const [{ strip }, i, detail] = [profileOf(context), context.state.layer, detailOf(context)];
    const told = [
      ["points", number(strip.points[i])], ["distinct", number(strip.distinct[i])], ["variance kept", percent(strip.variance_kept[i])],
      ["median distance", known(detail.median) ? `${number(detail.median)} ${profileOf(context).unit}` : "undefined"],
    ];
    return el("dl", { class: "facts" }, told.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
  }

  function words(context) {
    const [{ strip }, i, detail] = [profileOf(context), context.state.layer, detailOf(context)];
    return [
      el("p", { class: "which" }, el("strong", {}, named(context))), facts(context),
      strip.doubt[i] && el("p", { class: "warning" }, sentence(`doubtful: ${strip.doubt[i]}`)),
      strip.note[i] && el("p", {}, sentence(strip.note[i])), detail.loop && el("p", {}, sentence(detail.loop)),
    ].filter(Boolean);
  }

  function numbersTable(context) {
    const { payload: { metrics }, state } = context;
    const profile = profileOf(context);
    const tested = Object.keys(profile.null).length > 0;
    const header = ["quantity", "unit", "value", ...(Object.keys(profile.low).length ? [`${number(100 * profile.confidence, 3)} % interval`] : []), ...(tested ? ["noise: mean ± 2 spreads", "p", "p family-wise"] : [])];
    const row = (metric) => {
      const isFree = state.free && metric.scaled;
      const { value, low, high, test } = claim(profile, keyOf(metric, state.free), state.layer);
      const unit = isFree ? "/ median distance" : metric.degree === 0 || metric.integer ? "" : profile.unit;
      const noise = known(test.mean) ? `${valued(test.mean, test.low, test.high)} ${between(test.low, test.high)}` : "";
      return [metric.label, unit, valued(value, low, high), ...(Object.keys(profile.low).length ? [between(low, high)] : []), ...(tested ? [noise, ...["p", "family_wise"].map((k) => pText(test[k]))] : [])];
    };
    const rows = metrics.filter((m) => profile.values[keyOf(m, state.free)]).map(row);
    const cell = (value, i) => (i ? el("td", { class: i < 2 ? "word" : "" }, value) : el("th", { scope: "row", class: "word" }, value));
    return el("table", {}, el("caption", {}, `The numbers of ${named(context)}`),
      el("thead", {}, el("tr", {}, header.map((h, i) => el("th", { scope: "col", class: i < 2 ? "word" : "" }, h)))),
      el("tbody", {}, rows.map((r) => el("tr", {}, r.map(cell)))));
  }

  /* Layer by layer */

  const distancesIn = (profile, k) => profile.distances.find((one) => one.dimension === k);

  function distancesChart(host, context, choose, k) {
    const on = { plotly_click: ({ points: [point] }) => choose(context.state.profile, point.pointIndex[1]) };
    const names = () => profileOf(context).layers.map((_, i) => i);
    return chart(host, {
      name: `distances-H${k}`, title: `From layer to layer, H${k}`, on, height: (width) => Math.min(560, Math.max(320, 0.75 * width)),
      how: `how far the H${k} diagrams of two layers lie apart; dark is alike. A dark block is a stretch of layers of one shape; the diagonal, where the distance is 0, is left free. Click a cell to see the layer of its column.`,
      traces: () => {
        const [{ layers }, distances] = [profileOf(context), distancesIn(profileOf(context), k)];
        const label = (j, i) => `${text(layers[i])} and ${text(layers[j])}<br>${number(distances.values[i][j], 3)}`;
        return [{
          type: "heatmap", x: names(), y: names(), z: distances.values.map((row, i) => row.map((d, j) => (i === j ? null : d))), colorscale: "Cividis", xgap: 1, ygap: 1,
          hovertext: layers.map((_, i) => layers.map((__, j) => label(j, i))), hoverinfo: "text", colorbar: { thickness: 12, outlinewidth: 0, title: { text: "distance", side: "right" } },
        }];
      },
      layout: (_, { width }) => {
        const ticks = todacomm.layers.ticksOf(profileOf(context), width * 0.8);
        const [i, side] = [context.state.layer, { color: "accent", width: 2 }];
        const box = (x0, x1, y0, y1) => ({ type: "rect", x0, x1, y0, y1, line: side, fillcolor: "rgba(0,0,0,0)" });
        const [low, high] = [-0.5, profileOf(context).layers.length - 0.5];
        return {
          xaxis: { ...ticks, title: { text: "layer" }, showgrid: false }, yaxis: { ...ticks, autorange: "reversed", title: { text: "layer" }, showgrid: false },
          shapes: [box(i - 0.5, i + 0.5, low, high), box(low, high, i - 0.5, i + 0.5)],
        };
      },
      data: () => {
        const [{ layers }, { values }] = [profileOf(context), distancesIn(profileOf(context), k)];
        return { header: ["layer", ...layers], rows: layers.map((layer, i) => [layer, ...values[i]]) };
      },
    });
  }

  function panel(host, context, choose) {
    const said = el("div", { class: "said" });
    const grid = el("div", { class: "charts" });
    const numbers = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${context.payload.heading || "Along the layers"}: the numbers of one layer` });
    const absent = el("p", { class: "absent" });
    const same = toggle("same axes at all layers", "same-axes", true, (on) => { context.state.same = on; bars.forEach((c) => c.update()); });
    host.append(el("div", { class: "panel", id: context.place }, el("h3", {}, "One layer in detail"), said, el("div", { class: "controls" }, same), grid, absent, numbers));
    const [diagram, barcode] = [diagramChart(grid, context), barcodeChart(grid, context)];
    const cloud = todacomm.layers.cloud(grid, context);
    const betti = bettiChart(grid, context);
    const bars = [diagram, barcode, betti];
    const dimensions = [0, 1].filter((k) => context.profiles.some((p) => distancesIn(p, k)));
    const distances = dimensions.map((k) => [k, distancesChart(grid, context, choose, k)]);
    const refresh = () => {
      const profile = profileOf(context);
      said.replaceChildren(...words(context));
      numbers.replaceChildren(numbersTable(context));
      [["Persistence diagram", diagram], ["Barcode", barcode], ["Betti curves", betti]].forEach(([title, c]) => c.retitle(`${title}: ${named(context)}`));
      barcode.note(barcodeNote(context));
      [diagram, betti].forEach((c) => c.note(leftOut(context)));
      bars.forEach((c) => c.update());
      cloud.refresh();
      absent.textContent = profile.distances.length ? "" : `The distances between the layers of ${profile.label} were not computed.`;
      distances.forEach(([k, c]) => {
        const measured = distancesIn(profile, k);
        c.figure.hidden = !measured;
        if (!measured) return;
        c.retitle(`From layer to layer, H${k}: ${profile.label}`);
        c.note(sentence(measured.label));
        c.update();
      });
    };
    return { refresh };
  }

  Object.assign(todacomm.layers, { panel, profileOf, detailOf, layerOf, named, factor, unitOf });
})();
