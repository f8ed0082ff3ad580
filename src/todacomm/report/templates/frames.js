/* A chart in several frames: a slider and a button go through them; it starts when asked for, never by itself. */
(() => {
  "use strict";

  const { el, chart, written, player } = todacomm;

  todacomm.explorers.frames = (host, payload) => {
    const { frames, name, title, how, header, rows } = payload;
    const last = frames.length - 1;
    let place = 0;
    const slider = el("input", {
      type: "range", min: 0, max: last, step: 1, value: 0, "aria-label": payload.slider,
      oninput: () => { playing.stop(); go(Number(slider.value)); },
    });
    const told = el("output", { class: "frames-told" });
    const playing = player(() => { if (place === last) go(0); }, onward);
    const bar = el("div", { class: "grok-row frames-bar screen" }, playing.button, slider, told);
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

    /* Once around, back to where it began. */
    function onward() {
      go(place === last ? 0 : place + 1);
      return place !== 0;
    }

    say();
  };
})();
