// Two of the reference, the target before and the target after, with a movable line between them.
class Swipe {
  constructor(root, data) {
    this.data = data;
    this.share = 0.5;
    this.sides = { left: 1, right: 2 };
    this.images = data.images.map((uri) => loaded(uri, () => this.viewer.redraw()));
    this.viewer = new Viewer(root, data.size, (context) => this.draw(context), () => {});
    this.viewer.home = data.detail;
    this.viewer.show(data.detail);
    const slider = root.querySelector("input");
    const move = () => { this.share = slider.value / 100; this.viewer.redraw(); };
    slider.addEventListener("input", move);
    move();
    for (const select of root.querySelectorAll("select")) {
      const choose = () => { this.sides[select.dataset.side] = Number(select.value); this.viewer.redraw(); };
      select.addEventListener("change", choose);
      choose();
    }
  }

  draw(context) {
    const { width, height } = this.viewer;
    const line = this.share * width;
    for (const [side, from, to] of [["left", 0, line], ["right", line, width]]) {
      context.save();
      context.beginPath();
      context.rect(from, 0, to - from, height);
      context.clip();
      const image = this.images[this.sides[side]];
      if (image.complete && image.naturalWidth) this.viewer.picture(image, this.data.size);
      context.restore();
    }
    context.fillStyle = "#000";
    context.fillRect(line - 2, 0, 4, height);
    context.fillStyle = "#fff";
    context.fillRect(line - 1, 0, 2, height);
    this.label(context, "left", 10, "left");
    this.label(context, "right", width - 60, "right");
  }

  label(context, side, x, align) {
    const name = ["reference", "target before", "target after"][this.sides[side]];
    context.font = "600 14px system-ui, sans-serif";
    context.textAlign = align;
    const y = this.viewer.height - 14;
    context.lineWidth = 4;
    context.strokeStyle = "#000";
    context.strokeText(name, x, y);
    context.fillStyle = "#fff";
    context.fillText(name, x, y);
  }
}
