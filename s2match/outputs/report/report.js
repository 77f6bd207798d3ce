// The map of the points, which Leaflet draws, and the controls of the swipe, which is an <img-comparison-slider>.
"use strict";

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

class PointMap {
  constructor(root, data) {
    Object.assign(this, { root, data, base: "reference", blink: root.querySelector(".blinker") });
    const values = bytesOf(data.points).buffer;
    data.fields.forEach((name, row) => { this[name] = new Float32Array(values, 4 * row * data.count, data.count); });
    this.createMap();
    this.createPoints();
    this.createReadout();
    this.listen();
  }

  createMap() {
    const fingers = matchMedia("(hover: none)").matches;
    // pixels of the reference: x to the right, y down
    const crs = L.extend({}, L.CRS.Simple, {
      transformation: new L.Transformation(1, 0, 1, 0),
      distance: (one, other) => this.data.pixel_m * Math.hypot(one.lng - other.lng, one.lat - other.lat),
    });
    // one finger scrolls the page, two move the map; the wheel scrolls the page until the map has the focus
    this.map = L.map(this.root.querySelector(".stage"), {
      crs, minZoom: -6, maxZoom: 5, zoomSnap: 0.25, zoomDelta: 0.5, wheelPxPerZoomLevel: 120, attributionControl: false,
      scrollWheelZoom: false, dragging: !fingers, preferCanvas: true, fadeAnimation: false,
      zoomAnimation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      renderer: L.canvas({ tolerance: fingers ? 9 : 3 }),
    });
    this.map.on("focus", () => this.map.scrollWheelZoom.enable());
    this.map.on("blur", () => this.map.scrollWheelZoom.disable());
    if (this.data.pixel_m !== null) L.control.scale({ imperial: false, maxWidth: 160 }).addTo(this.map);
    this.layers = {};
    for (const { name, title, image } of this.data.layers) {
      this.layers[name] = L.imageOverlay(image, this.data.bounds, { pane: "tilePane", alt: title }).addTo(this.map);
    }
    this.map.fitBounds(this.data.focus, { animate: false });
  }

  createPoints() {
    const room = { maxWidth: 280, autoPanPaddingTopLeft: [5, 50] };
    this.points = L.featureGroup().bindPopup((marker) => this.popup(marker.index), room);
    this.markers = Array.from({ length: this.data.count }, (_, index) => {
      const marker = L.circleMarker([this.y[index], this.x[index]], { color: "#000", weight: 0.7, fillOpacity: 1 });
      return Object.assign(marker, { index }).addTo(this.points);
    });
    this.map.on("zoomend", () => this.resize());
    this.resize();
  }

  // Dots grow with the distance between them, so that they never hide the ground.
  resize() {
    const [low, high] = this.data.focus;
    const spacing = Math.sqrt(((high[0] - low[0]) * (high[1] - low[1])) / Math.max(this.data.count, 1));
    const radius = Math.min(Math.max(0.24 * spacing * this.map.getZoomScale(this.map.getZoom(), 0), 0.8), 6);
    for (const marker of this.markers) marker.setRadius(radius).setStyle({ stroke: radius > 2.4 });
  }

  // Place of a pixel of the reference, in its file and on its map.
  placeOf(x, y) {
    const { file, transform, crs, decimals } = this.data;
    const along = ([a, b, c, d, e, f], digits) => `${(a * x + b * y + c).toFixed(digits)}, ${(d * x + e * y + f).toFixed(digits)}`;
    return [file && `reference pixel ${along(file, 1)}`, transform && `${along(transform, decimals)} (${crs})`].filter(Boolean);
  }

  createReadout() {
    const readout = L.control({ position: "topright" });
    const box = L.DomUtil.create("div", "readout");
    readout.onAdd = () => box;
    readout.addTo(this.map);
    const show = ({ lng, lat }) => { box.textContent = this.placeOf(lng, lat).join(" · "); };
    this.map.on("mousemove", (event) => show(event.latlng));
    this.map.on("moveend", () => show(this.map.getCenter()));
    show(this.map.getCenter());
  }

  listen() {
    for (const input of this.root.querySelectorAll("input")) {
      const choose = () => (input.name === "image" ? this.show((this.base = input.value)) : this.colour(input.value));
      input.addEventListener("change", choose);
      // browsers keep choices over a reload
      if (input.checked) choose();
    }
    this.blink.addEventListener("click", () => this.toggleBlink());
    this.map.getContainer().addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === this.map.getContainer()) this.openNearest();
    });
  }

  // The reference and the chosen image in turn, without points; the last image where the reference is chosen.
  toggleBlink() {
    const start = !this.timer;
    this.blink.setAttribute("aria-pressed", String(start));
    clearInterval(this.timer);
    const other = this.base === "reference" ? this.data.layers.at(-1).name : this.base;
    this.timer = start ? setInterval(() => this.show(this.shown === other ? "reference" : other), 600) : null;
    this.show(start ? other : this.base);
    this.drawPoints();
  }

  show(name) {
    this.shown = name;
    for (const [each, layer] of Object.entries(this.layers)) layer.setOpacity(each === name ? 1 : 0);
  }

  colour(name) {
    this.coloured = name;
    const way = this.data.colourings[name];
    this.root.querySelector(".key").hidden = !way;
    if (way) {
      const steps = bytesOf(way.steps);
      for (const marker of this.markers) marker.setStyle({ fillColor: this.data.colours[steps[marker.index]] });
      this.root.querySelectorAll(".ends span").forEach((span, end) => { span.textContent = way.labels[end]; });
    }
    this.drawPoints();
  }

  drawPoints() {
    const drawn = !this.timer && this.coloured !== "none";
    this.map.getContainer().classList.toggle("muted", drawn);
    if (drawn) this.points.addTo(this.map);
    else this.points.remove();
  }

  openNearest() {
    const away = (marker) => this.map.distance(marker.getLatLng(), this.map.getCenter());
    const nearest = this.markers.reduce((a, b) => (a && away(a) <= away(b) ? a : b), null);
    if (nearest && this.map.hasLayer(this.points)) nearest.fire("click", { latlng: nearest.getLatLng() }, true);
  }

  describe(index) {
    const { shift, model_accepted: accepted, target_pixel_m: side } = this.data;
    const kind = accepted ? (this.inlier[index] ? "inlier" : "outlier") : "match";
    const lines = [`${kind}, confidence ${this.confidence[index].toFixed(4)}`];
    const [right, up, left] = [this.shift_x[index], this.shift_y[index], this.residual[index]];
    if (Number.isFinite(right)) {
      const part = (value, axis) => `${Math.abs(value).toFixed(shift.decimals)} ${shift.unit} ${shift.names[axis][Number(value < 0)]}`;
      const length = Math.hypot(right, up);
      const pixels = shift.native_pixel ? ` = ${(length / shift.native_pixel).toFixed(2)} native px` : "";
      lines.push(`shift ${part(right, 0)}, ${part(up, 1)}`, `in all ${length.toFixed(shift.decimals)} ${shift.unit}${pixels}`);
    }
    if (Number.isFinite(left)) lines.push(`residual ${left.toFixed(2)} px${side ? ` = ${(left * side).toFixed(1)} m` : ""}`);
    const target = `target pixel ${this.target_x[index].toFixed(1)}, ${this.target_y[index].toFixed(1)}`;
    return [...lines, ...this.placeOf(this.x[index], this.y[index]), target];
  }

  popup(index) {
    const box = document.createElement("div");
    box.append(...this.describe(index).map((text) => Object.assign(document.createElement("div"), { textContent: text })));
    return box;
  }
}

window.report = { map: new PointMap(document.getElementById("map"), JSON.parse(document.getElementById("data").textContent)) };
for (const slider of document.querySelectorAll("img-comparison-slider")) {
  slider.addEventListener("slide", () => slider.setAttribute("aria-valuenow", String(Math.round(slider.value))));
  const image = slider.querySelector("[slot=second]");
  const name = slider.parentElement.querySelector(".sides span:last-child");
  for (const input of document.querySelectorAll("input[name=side]")) {
    const source = input.dataset.image || image.src;
    const choose = () => { image.src = source; name.textContent = input.value; };
    input.addEventListener("change", choose);
    // browsers keep choices over a reload
    if (input.checked) choose();
  }
}
