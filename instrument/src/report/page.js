(() => {
  // Values under the pointer. The page is whole without it.
  const box = document.createElement("div");
  box.className = "at";
  box.hidden = true;
  document.body.append(box);
  const scale = (told) => {
    const [spread, from, to] = told.split(" ").map((word, at) => (at ? Number(word) : word));
    return (share) => {
      const bent = from + (to - from) * share;
      return spread === "linear" ? bent : spread === "log" ? 10 ** bent : 100 * (1 - 10 ** -bent);
    };
  };
  const three = (value) => String(Number(value.toPrecision(3)));
  const height = (points, x) => {
    for (let at = 1; at < points.length; at++) {
      const [from, low] = points[at - 1], [to, high] = points[at];
      if (x >= from && x <= to) return low + ((high - low) * (x - from)) / (to - from || 1);
    }
  };
  for (const svg of document.querySelectorAll("svg[data-plot]")) {
    const [left, right, bottom, top] = svg.dataset.plot.split(" ").map(Number);
    const x = scale(svg.dataset.x), y = scale(svg.dataset.y);
    const nines = svg.dataset.x.startsWith("nines");
    const value = (at) => three(y((bottom - at) / (bottom - top)));
    const lines = [...svg.querySelectorAll("polyline")].map((line) => [
      line.dataset.name,
      line.getAttribute("points").trim().split(" ").map((point) => point.split(",").map(Number)),
    ]);
    svg.addEventListener("pointermove", (event) => {
      const frame = svg.getBoundingClientRect(), unit = 400 / frame.width;
      const px = (event.clientX - frame.left) * unit, py = (event.clientY - frame.top) * unit;
      box.hidden = px < left || px > right || py < top || py > bottom;
      if (box.hidden) return;
      const place = x((px - left) / (right - left));
      const shown = lines.map(([name, points]) => [name, height(points, px)]).filter(([, at]) => at !== undefined);
      const title = nines ? `p${place.toFixed(place < 99 ? 0 : place < 99.9 ? 1 : 3)}` : three(place);
      box.textContent = [title, ...shown.map(([name, at]) => `${name} ${value(at)}`.trim()), ...(lines.length ? [] : [value(py)])].join("\n");
      box.style.top = `${window.scrollY + event.clientY + 14}px`;
      box.style.left = `${Math.min(window.scrollX + event.clientX + 14, window.scrollX + document.documentElement.clientWidth - box.offsetWidth - 4)}px`;
    });
    svg.addEventListener("pointerleave", () => { box.hidden = true; });
  }
})();
