"use strict";

// An image on a canvas: wheel, pinch and buttons zoom; drag and arrow keys pan.
class Viewer {
  // draw(context, viewer) paints the canvas; picked(screenX, screenY, how) is called on "move", "tap", "key", "leave".
  constructor(root, size, draw, picked) {
    this.canvas = root.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.size = size;
    this.draw = draw;
    this.picked = picked;
    this.scale = 1; // screen pixels per image pixel
    this.left = 0; // screen position of the image's upper left corner
    this.top = 0;
    this.home = null; // [x, y, width, height] of the first view, image pixels
    this.pointers = new Map();
    this.pending = false;
    this.fitted = true;
    this.listen(root);
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    this.resize();
  }

  get width() { return this.canvas.clientWidth; }
  get height() { return this.canvas.clientHeight; }
  toScreen(x, y) { return [this.left + x * this.scale, this.top + y * this.scale]; }
  toImage(x, y) { return [(x - this.left) / this.scale, (y - this.top) / this.scale]; }
  get smallest() { return Math.min(this.width / this.size[0], this.height / this.size[1]); }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    if (this.fitted) this.show(this.home || [0, 0, ...this.size]);
    else this.redraw();
  }

  show([x, y, width, height]) {
    this.scale = Math.min(this.width / width, this.height / height) || 1;
    this.left = this.width / 2 - (x + width / 2) * this.scale;
    this.top = this.height / 2 - (y + height / 2) * this.scale;
    this.fitted = true;
    this.redraw();
  }

  all() { this.home = null; this.show([0, 0, ...this.size]); }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const scale = Math.min(Math.max(this.scale * factor, this.smallest * 0.8), 60);
    this.left = x - (x - this.left) * (scale / this.scale);
    this.top = y - (y - this.top) * (scale / this.scale);
    this.scale = scale;
    this.moved();
  }

  pan(dx, dy) { this.left += dx; this.top += dy; this.moved(); }

  moved() {
    // a part of the image stays visible
    const margin = 60;
    this.left = Math.min(Math.max(this.left, margin - this.size[0] * this.scale), this.width - margin);
    this.top = Math.min(Math.max(this.top, margin - this.size[1] * this.scale), this.height - margin);
    this.fitted = false;
    this.picked(NaN, NaN, "leave");
    this.redraw();
  }

  redraw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => { this.pending = false; this.paint(); });
  }

  paint() {
    const ratio = this.canvas.width / Math.max(this.width, 1);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, this.width, this.height);
    this.draw(this.context, this);
  }

  picture(image, size) {
    this.context.imageSmoothingEnabled = this.scale < 3;
    this.context.drawImage(image, this.left, this.top, size[0] * this.scale, size[1] * this.scale);
  }

  listen(root) {
    const canvas = this.canvas;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...at(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, at(event));
      this.dragged = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.pointers.has(event.pointerId)) this.drag(event.pointerId, at(event));
      else this.picked(...at(event), "move");
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => {
        this.pointers.delete(event.pointerId);
        if (name === "pointerup" && this.dragged < 6) this.picked(...at(event), "tap");
      });
    }
    canvas.addEventListener("pointerleave", () => this.picked(NaN, NaN, "leave"));
    canvas.addEventListener("keydown", (event) => this.key(event));
    const actions = { in: () => this.zoom(1.6), out: () => this.zoom(1 / 1.6), all: () => this.all() };
    for (const button of root.querySelectorAll("button[data-do]")) {
      button.addEventListener("click", actions[button.dataset.do]);
    }
  }

  drag(id, now) {
    const before = this.pointers.get(id);
    const others = [...this.pointers].filter(([other]) => other !== id).map(([, position]) => position);
    this.pointers.set(id, now);
    this.dragged += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (others.length === 0) return this.pan(now[0] - before[0], now[1] - before[1]);
    const [x, y] = others[0];
    const distance = (position) => Math.max(Math.hypot(position[0] - x, position[1] - y), 1);
    this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.zoom(distance(now) / distance(before), (now[0] + x) / 2, (now[1] + y) / 2);
  }

  key(event) {
    const step = 60;
    const actions = {
      ArrowLeft: () => this.pan(step, 0),
      ArrowRight: () => this.pan(-step, 0),
      ArrowUp: () => this.pan(0, step),
      ArrowDown: () => this.pan(0, -step),
      "+": () => this.zoom(1.6),
      "=": () => this.zoom(1.6),
      "-": () => this.zoom(1 / 1.6),
      0: () => this.all(),
      Enter: () => this.picked(this.width / 2, this.height / 2, "key"),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }
}

function loaded(uri, then) {
  const image = new Image();
  image.onload = then;
  image.src = uri;
  return image;
}
