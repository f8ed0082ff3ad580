/* Movement: while the slider moves, what moves is drawn on a canvas over the axes of plotly, which draws it anew when the slider rests. */
(() => {
  "use strict";

  const { el, theme } = todacomm;
  const grok = (todacomm.grok = todacomm.grok || {});
  const REST = 200; // milliseconds after the last move
  const FONT = "system-ui, sans-serif";

  /* A chart with something laid over it: both share one place. */
  grok.overlaid = (handle, over) => {
    const frame = el("div", { class: "grok-frame" });
    handle.plot.replaceWith(frame);
    frame.append(handle.plot, over);
    return frame;
  };

  const axis = (plot, name) => plot._fullLayout[name.replace(/^([xy])/, "$1axis")];
  const one = (value, i) => (Array.isArray(value) ? value[i] : value);

  function clipped(ctx, x, y, free, draw) {
    ctx.save();
    if (!free) {
      ctx.beginPath();
      ctx.rect(x._offset, y._offset, x._length, y._length);
      ctx.clip();
    }
    draw();
    ctx.restore();
  }

  function line(ctx, trace, px, py, colour) {
    ctx.strokeStyle = colour(trace.line.color);
    ctx.lineWidth = trace.line.width;
    ctx.beginPath();
    trace.x.forEach((x, i) => ctx[i ? "lineTo" : "moveTo"](px(x), py(trace.y[i])));
    ctx.stroke();
  }

  function mark(ctx, symbol, x, y, radius) {
    ctx.beginPath();
    if (symbol === "square") ctx.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    else ctx.arc(x, y, radius, 0, 2 * Math.PI);
    if (/open/.test(symbol)) ctx.stroke();
    else ctx.fill();
  }

  function marks(ctx, { x, y, marker }, px, py, colour) {
    ctx.globalAlpha = marker.opacity ?? 1;
    ctx.lineWidth = marker.line ? marker.line.width : 1;
    x.forEach((value, i) => {
      ctx.fillStyle = ctx.strokeStyle = colour(one(marker.color, i));
      mark(ctx, marker.symbol || "circle", px(value), py(y[i]), marker.size / 2);
    });
    ctx.globalAlpha = 1;
  }

  function words(ctx, { x, y, text, textfont }, px, py, colour, above = 0) {
    ctx.font = `${textfont.size}px ${FONT}`;
    ctx.textAlign = "center";
    ctx.textBaseline = above ? "bottom" : "middle";
    text.forEach((word, i) => {
      ctx.fillStyle = colour(one(textfont.color, i) || "ink");
      ctx.fillText(word, px(x[i]), py(y[i]) - above);
    });
  }

  function bars(ctx, trace, px, py, colour) {
    const width = 0.75 * (px(1) - px(0));
    trace.x.forEach((x, i) => {
      ctx.fillStyle = colour(one(trace.marker.color, i));
      ctx.fillRect(px(x) - width / 2, py(trace.y[i]), width, py(0) - py(trace.y[i]));
    });
    words(ctx, trace, px, py, colour, 3);
  }

  function drawTrace(ctx, plot, trace, colour) {
    const [x, y] = [axis(plot, trace.xaxis || "x"), axis(plot, trace.yaxis || "y")];
    const [px, py] = [(v) => x._offset + x.d2p(v), (v) => y._offset + y.d2p(v)];
    clipped(ctx, x, y, trace.cliponaxis === false, () => {
      if (trace.type === "bar") { bars(ctx, trace, px, py, colour); return; }
      if (trace.mode.includes("lines")) line(ctx, trace, px, py, colour);
      if (trace.mode.includes("markers")) marks(ctx, trace, px, py, colour);
      if (trace.mode.includes("text")) words(ctx, trace, px, py, colour);
    });
  }

  /* A canvas as fine as the screen. */
  function cleared(canvas, plot) {
    const [width, height, fine] = [plot.clientWidth, plot.clientHeight, devicePixelRatio || 1];
    if (canvas.width !== Math.round(width * fine) || canvas.height !== Math.round(height * fine)) {
      canvas.width = Math.round(width * fine);
      canvas.height = Math.round(height * fine);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const ctx = canvas.getContext("2d");
    ctx.setTransform(fine, 0, 0, fine, 0, 0);
    ctx.clearRect(0, 0, width, height);
    return ctx;
  }

  /* A chart that follows the slider: `told` says in words what is shown. */
  grok.moving = (state, spec, told = () => {}) => {
    let timer = 0;
    let seen = false;
    const canvas = el("canvas", { class: "grok-canvas", "aria-hidden": "true" });
    const handle = todacomm.chart(spec.host, { ...spec, on: { ...spec.on, plotly_afterplot: () => { if (!timer) frame.classList.remove("moving"); } } });
    const frame = grok.overlaid(handle, canvas);
    new IntersectionObserver((entries) => { seen = entries[entries.length - 1].isIntersecting; }).observe(frame);
    told();
    state.movers.push(() => {
      told();
      clearTimeout(timer);
      timer = setTimeout(() => { timer = 0; handle.update(); }, REST);
      if (!seen || !handle.width) return;
      const colours = theme();
      const ctx = cleared(canvas, handle.plot);
      spec.traces(colours, { width: handle.width }).forEach((trace) => drawTrace(ctx, handle.plot, trace, (c) => colours[c] || c));
      frame.classList.add("moving");
    });
    return handle;
  };

  /* The cursor over the curves: an element of its own, so that nothing under it is drawn anew. */
  grok.cursor = (handle, place, shown) => {
    const label = el("b", {});
    const element = el("div", { class: "grok-cursor", "aria-hidden": "true" }, label);
    grok.overlaid(handle, element);
    return () => {
      const layout = handle.plot._fullLayout;
      element.hidden = !shown() || !layout;
      if (element.hidden) return;
      const { at, words } = place();
      const [x, size] = [layout.xaxis, layout._size];
      const along = x.d2p(at);
      element.hidden = along < -1 || along > x._length + 1;
      element.style.transform = `translateX(${x._offset + along}px)`;
      element.style.height = `${size.t + size.h}px`;
      label.textContent = words;
      label.style.transform = `translateX(${-100 * Math.min(0.96, Math.max(0.04, along / x._length))}%)`;
    };
  };
})();
