/* A chart in several frames: a slider and a button go through them; it starts when asked for, never by itself. */
(() => {
  "use strict";

  const { el, chart, written } = todacomm;
  const PACE = 350, PAUSE = 1600; // milliseconds between two frames, and where motion is to be reduced

  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  todacomm.explorers.frames = (host, payload) => {
    const { frames, name, title, how, header, rows } = payload;
    const last = frames.length - 1;
    let place = 0, timer = 0;
    const slider = el("input", {
      type: "range", min: 0, max: last, step: 1, value: 0, "aria-label": payload.slider,
      oninput: () => { stop(); go(Number(slider.value)); },
    });
    const told = el("output", { class: "frames-told" });
    const button = el("button", { type: "button", class: "grok-play", onclick: () => (timer ? stop() : start()) });
    const bar = el("div", { class: "grok-row frames-bar screen" }, button, slider, told);
    const drawn = chart(host, {
      name, title, how, controls: bar, data: () => ({ header, rows }), height: frames[0].layout.height,
      traces: () => frames[place].traces,
      layout: (_, { width }) => {
        const { layout, around } = frames[place];
        return { ...layout, annotations: [...layout.annotations, ...written(around, width)] };
      },
    });

    function say() {
      slider.value = place;
      slider.setAttribute("aria-valuetext", frames[place].label);
      told.textContent = frames[place].label;
    }

    function go(frame) {
      place = Math.min(Math.max(frame, 0), last);
      say();
      drawn.update();
    }

    function named(on) {
      button.textContent = on ? "❚❚" : "▶";
      for (const attribute of ["aria-label", "title"]) button.setAttribute(attribute, on ? "Pause" : "Play");
    }

    function stop() {
      clearTimeout(timer);
      timer = 0;
      named(false);
    }

    /* Once around, back to where it began. */
    function tick() {
      go(place === last ? 0 : place + 1);
      if (place === 0) stop();
      else timer = setTimeout(tick, calm() ? PAUSE : PACE);
    }

    function start() {
      if (place === last) go(0);
      named(true);
      timer = setTimeout(tick, calm() ? PAUSE : PACE);
    }

    named(false);
    say();
  };
})();
