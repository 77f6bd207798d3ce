// Map of the matches on the reference or the target.
class PointMap {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.columns = this.read(data);
    this.chosen = { image: "reference", colour: "confidence", arrows: "none" };
    this.marked = -1;
    this.lengths = {
      residual: this.lengthsOf("residual_x", "residual_y"),
      shift: this.lengthsOf("shift_x", "shift_y"),
    };
    this.images = {};
    for (const name of ["reference", "target"]) {
      const image = loaded(data[name].image, () => { this.images[name] = muted(image); this.viewer.redraw(); });
    }
    this.viewer = new Viewer(root, data.reference.size, (context) => this.draw(context), (...at) => this.pick(...at));
    this.listen();
    this.recolour();
    const all = data.count === data.total ? "" : ` of ${data.total}, spread evenly`;
    root.querySelector(".count").textContent = `${data.count} points${all}`;
    document.body.dataset.points = data.count;
    const outliers = root.querySelector(".outliers");
    outliers.hidden = this.outliers.length === 0;
    outliers.querySelector("b").style.color = data.outlier_colour;
    outliers.querySelector("span").textContent = `${this.outliers.length} outliers`;
  }

  read(data) {
    const bytes = Uint8Array.from(atob(data.points), (letter) => letter.charCodeAt(0));
    const columns = {};
    data.fields.forEach((name, index) => {
      columns[name] = new Float32Array(bytes.buffer, 4 * index * data.count, data.count);
    });
    return columns;
  }

  lengthsOf(x, y) { return this.columns[x].map((value, index) => Math.hypot(value, this.columns[y][index])); }

  listen() {
    for (const field of this.root.querySelectorAll("fieldset")) {
      for (const input of field.querySelectorAll("input")) {
        const lengths = this.lengths[input.value];
        input.disabled = lengths !== undefined && !lengths.some(Number.isFinite);
        input.addEventListener("change", () => this.choose(field.dataset.choice, input.value));
        // browsers keep choices over a reload
        if (input.checked && !input.disabled) this.chosen[field.dataset.choice] = input.value;
      }
    }
    this.viewer.size = this.data[this.chosen.image].size;
  }

  choose(what, value) {
    this.chosen[what] = value;
    if (what === "image") {
      this.viewer.size = this.data[value].size;
      this.viewer.all();
      this.mark(-1);
    }
    if (what === "colour") this.recolour();
    this.viewer.redraw();
  }

  // Position of a value on the colour ramp, 0 to 1, and the labels of the ramp.
  ramp() {
    if (this.chosen.colour === "confidence") {
      // logarithmic: 0.9 to 0.99 is as long as 0.99 to 0.999
      const nines = (value) => -Math.log10(1 - Math.min(Math.max(value, 0), 0.9999));
      const low = nines(this.data.least_confidence);
      const high = Math.max(nines(0.9999), low + 0.1);
      const middle = 1 - 10 ** (-(low + high) / 2);
      return {
        of: (index) => (nines(this.columns.confidence[index]) - low) / (high - low),
        ends: [this.data.least_confidence.toFixed(2), middle.toFixed(3), "0.9999"],
      };
    }
    const lengths = this.lengths[this.chosen.colour];
    const sorted = lengths.filter(Number.isFinite).sort();
    const high = sorted.length ? sorted[Math.floor(0.98 * (sorted.length - 1))] || 1e-6 : 1;
    return {
      of: (index) => lengths[index] / high,
      ends: ["0", digits(high / 2), `≥ ${this.length(high, this.chosen.colour)}`],
    };
  }

  // Text of a length: a residual in pixels of the target, or a shift in pixels of the reference.
  length(pixels, kind) {
    const side = this.data[kind === "shift" ? "reference" : "target"].pixel_m;
    return side === null ? `${digits(pixels)} px` : `${digits(pixels)} px = ${digits(pixels * side)} m`;
  }

  recolour() {
    const { of, ends } = this.ramp();
    const colours = this.data.colours;
    this.buckets = colours.map(() => []);
    this.outliers = [];
    for (let index = 0; index < this.data.count; index += 1) {
      if (this.data.model_accepted && !this.columns.inlier[index]) this.outliers.push(index);
      else {
        const bucket = Math.floor(Math.min(Math.max(of(index) || 0, 0), 0.9999) * colours.length);
        this.buckets[bucket].push(index);
      }
    }
    this.root.querySelector(".ramp").style.background = `linear-gradient(to right, ${colours.join(",")})`;
    const row = this.root.querySelector(".ends");
    row.replaceChildren(...ends.map((text) => Object.assign(document.createElement("span"), { textContent: text })));
  }

  get x() { return this.columns[`${this.chosen.image}_x`]; }
  get y() { return this.columns[`${this.chosen.image}_y`]; }

  draw(context) {
    const image = this.images[this.chosen.image];
    if (image) this.viewer.picture(image, this.data[this.chosen.image].size);
    this.drawDots(context);
    this.drawOutliers(context);
    if (this.chosen.arrows !== "none") this.drawArrows(context);
    this.root.querySelector(".arrowkey").hidden = this.chosen.arrows === "none";
    if (this.marked >= 0) this.drawMark(context);
  }

  get radius() {
    const zoom = Math.log2(Math.max(this.viewer.scale / this.viewer.smallest, 1));
    const few = this.data.count > 4000 ? 0 : 1;
    return Math.min(1.3 + few + 0.75 * zoom, 6);
  }

  drawDots(context) {
    const { left, top, scale, width, height } = this.viewer;
    const { x, y, radius } = this;
    const round = radius > 2.6;
    context.globalAlpha = this.chosen.arrows === "none" ? 1 : 0.45;
    this.buckets.forEach((bucket, colour) => {
      context.beginPath();
      for (const index of bucket) {
        const across = left + x[index] * scale;
        const down = top + y[index] * scale;
        if (across < -9 || down < -9 || across > width + 9 || down > height + 9) continue;
        if (round) {
          context.moveTo(across + radius, down);
          context.arc(across, down, radius, 0, 7);
        } else context.rect(across - radius, down - radius, 2 * radius, 2 * radius);
      }
      if (round) {
        context.strokeStyle = "#000b";
        context.lineWidth = 1.6;
        context.stroke();
      }
      context.fillStyle = this.data.colours[colour];
      context.fill();
    });
    context.globalAlpha = 1;
  }

  drawOutliers(context) {
    const { x, y } = this;
    const arm = this.radius + 1.2;
    context.beginPath();
    for (const index of this.outliers) {
      const [across, down] = this.viewer.toScreen(x[index], y[index]);
      context.moveTo(across - arm, down - arm);
      context.lineTo(across + arm, down + arm);
      context.moveTo(across - arm, down + arm);
      context.lineTo(across + arm, down - arm);
    }
    for (const [colour, line] of [["#fff", 4], [this.data.outlier_colour, 2.2]]) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.stroke();
    }
  }

  // Screen pixels per image pixel of the arrows: 90 % of them are at most 34 screen pixels long.
  get stretch() {
    const lengths = this.lengths[this.chosen.arrows];
    const inliers = lengths.filter((value, index) => Number.isFinite(value) && this.columns.inlier[index]);
    const sorted = (inliers.length ? inliers : lengths.filter(Number.isFinite)).sort();
    return sorted.length ? 34 / Math.max(sorted[Math.floor(0.9 * (sorted.length - 1))], 1e-4) : 1;
  }

  drawArrows(context) {
    const { x, y } = this;
    const { width, height } = this.viewer;
    const dx = this.columns[`${this.chosen.arrows}_x`];
    const dy = this.columns[`${this.chosen.arrows}_y`];
    const stretch = this.stretch;
    const square = 30;
    const drawn = new Set();
    context.beginPath();
    for (let index = 0; index < this.data.count; index += 1) {
      const [across, down] = this.viewer.toScreen(x[index], y[index]);
      if (across < 0 || down < 0 || across > width || down > height || !Number.isFinite(dx[index])) continue;
      if (this.data.model_accepted && !this.columns.inlier[index]) continue;
      // one arrow per square; squares are fixed to the image, so that arrows stay while it is panned
      const column = Math.floor((across - this.viewer.left) / square);
      const row = Math.floor((down - this.viewer.top) / square);
      const cell = column * 65536 + row;
      if (drawn.has(cell)) continue;
      drawn.add(cell);
      arrow(context, across, down, dx[index] * stretch, dy[index] * stretch);
    }
    for (const [colour, line] of [["#000c", 4], ["#fff", 1.8]]) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.stroke();
    }
    this.drawArrowKey(stretch);
  }

  drawArrowKey(stretch) {
    const pixels = rounded(50 / stretch);
    const length = pixels * stretch;
    const times = digits(stretch / this.viewer.scale);
    const key = this.root.querySelector(".arrowkey");
    const label = `${this.length(pixels, this.chosen.arrows)}, exaggerated ${times}×`;
    if (key.dataset.label === label) return;
    key.dataset.label = label;
    key.innerHTML =
      `<svg width="${length + 8}" height="14" aria-hidden="true"><path d="M2 7h${length}m-7-5l7 5l-7 5" fill="none" ` +
      `stroke="currentColor" stroke-width="2"/></svg><span></span>`;
    key.querySelector("span").textContent = label;
  }

  drawMark(context) {
    const [across, down] = this.viewer.toScreen(this.x[this.marked], this.y[this.marked]);
    for (const [colour, line] of [["#000", 5], ["#fff", 2.4]]) {
      context.beginPath();
      context.arc(across, down, this.radius + 5, 0, 7);
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.stroke();
    }
  }

  // Index of the point nearest to a screen position; -1 where none is within a distance.
  nearest(screenX, screenY, limit) {
    const [across, down] = this.viewer.toImage(screenX, screenY);
    const { x, y } = this;
    let nearest = -1;
    let best = (limit / this.viewer.scale) ** 2;
    for (let index = 0; index < this.data.count; index += 1) {
      const square = (x[index] - across) ** 2 + (y[index] - down) ** 2;
      if (square <= best) {
        best = square;
        nearest = index;
      }
    }
    return nearest;
  }

  pick(screenX, screenY, how) {
    if (how === "leave") {
      this.root.querySelector(".tip").hidden = true;
      return;
    }
    const limit = { move: 12, tap: 26, key: Infinity }[how];
    const index = this.nearest(screenX, screenY, limit);
    if (index >= 0 || how === "tap") this.mark(index);
    this.root.querySelector(".tip").hidden = index < 0;
  }

  mark(index) {
    this.marked = index;
    const tip = this.root.querySelector(".tip");
    tip.hidden = index < 0;
    if (index >= 0) {
      const lines = this.describe(index);
      fill(this.root.querySelector(".point"), lines);
      fill(tip, lines.slice(0, 4));
      const [across, down] = this.viewer.toScreen(this.x[index], this.y[index]);
      const left = across + 16 + tip.offsetWidth < this.viewer.width ? across + 16 : across - 16 - tip.offsetWidth;
      tip.style.left = `${Math.max(left, 4)}px`;
      tip.style.top = `${Math.max(Math.min(down + 12, this.viewer.height - tip.offsetHeight - 4), 4)}px`;
    }
    this.viewer.redraw();
  }

  describe(index) {
    const point = Object.fromEntries(this.data.fields.map((name) => [name, this.columns[name][index]]));
    const kind = this.data.model_accepted ? (point.inlier ? "inlier" : "outlier") : "match";
    const lines = [`${kind}, confidence ${point.confidence.toFixed(4)}`];
    if (Number.isFinite(point.east)) {
      const metres = Math.hypot(point.east, point.north);
      lines.push(`shift ${side(point.east, "east", "west")}, ${side(point.north, "north", "south")}`);
      lines.push(`in all ${metres.toFixed(1)} m = ${(metres / this.data.native_pixel_m).toFixed(2)} native px`);
    } else if (Number.isFinite(point.shift_x)) {
      const length = Math.hypot(point.shift_x, point.shift_y).toFixed(2);
      lines.push(`shift ${point.shift_x.toFixed(2)} px right, ${point.shift_y.toFixed(2)} px down`);
      lines.push(`in all ${length} px`);
    }
    if (Number.isFinite(point.residual_x)) {
      const pixels = this.lengths.residual[index];
      const pixel = this.data.target.pixel_m;
      lines.push(`residual ${pixels.toFixed(2)} px${pixel === null ? "" : ` = ${(pixels * pixel).toFixed(1)} m`}`);
    }
    lines.push(`reference x ${point.reference_x.toFixed(1)}, y ${point.reference_y.toFixed(1)} px`);
    lines.push(`target x ${point.target_x.toFixed(1)}, y ${point.target_y.toFixed(1)} px`);
    const { transform, crs } = this.data.reference;
    if (transform) {
      const [a, b, c, d, e, f] = transform;
      const X = a * point.reference_x + b * point.reference_y + c;
      const Y = d * point.reference_x + e * point.reference_y + f;
      const decimals = Math.abs(a) < 0.01 ? 6 : 1;
      lines.push(`map ${X.toFixed(decimals)}, ${Y.toFixed(decimals)} (${crs ?? "no reference system"})`);
    }
    return lines;
  }
}

// The image darkened and desaturated, so that the dots stand out.
function muted(image) {
  const canvas = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d");
  context.filter = "saturate(0.3)";
  context.drawImage(image, 0, 0);
  context.filter = "none";
  context.fillStyle = "rgba(16, 20, 28, 0.4)";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}

function side(metres, plus, minus) { return `${Math.abs(metres).toFixed(1)} m ${metres < 0 ? minus : plus}`; }

function digits(value) { return value === 0 ? "0" : String(Number(value.toPrecision(2))); }

function rounded(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const times = [1, 2, 5].filter((step) => step * power <= value).pop() || 1;
  return Number((times * power).toPrecision(1));
}

function arrow(context, x, y, dx, dy) {
  const length = Math.hypot(dx, dy);
  context.moveTo(x, y);
  context.lineTo(x + dx, y + dy);
  if (length < 3) return;
  const head = Math.min(6, length / 2) / length;
  context.moveTo(x + dx - head * (dx + 0.6 * dy), y + dy - head * (dy - 0.6 * dx));
  context.lineTo(x + dx, y + dy);
  context.lineTo(x + dx - head * (dx - 0.6 * dy), y + dy - head * (dy + 0.6 * dx));
}

function fill(element, lines) {
  element.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
  element.querySelectorAll("p").forEach((line) => { line.style.margin = "0"; });
}
