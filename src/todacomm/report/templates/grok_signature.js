/* The verdict, as the report has described it: after over plateau of every run and control of the chosen cell. */
(() => {
  "use strict";

  const grok = (todacomm.grok = todacomm.grok || {});

  grok.signature = (host, state) => {
    const now = () => state.cell.signature;
    const handle = todacomm.chart(host, {
      name: "signature", title: now().title, how: now().how, height: () => now().layout.height,
      traces: () => now().traces, layout: () => now().layout, data: () => now(),
    });
    return () => {
      handle.retitle(now().title);
      handle.update();
    };
  };
})();
