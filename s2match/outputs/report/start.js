const data = JSON.parse(document.getElementById("data").textContent);
if (data.swipe) {
  // images that the map has, too, are referred to by name
  data.swipe.images = data.swipe.images.map((uri) => (data.map[uri] ? data.map[uri].image : uri));
}
window.report = {
  map: new PointMap(document.getElementById("map"), data.map),
  swipe: data.swipe && new Swipe(document.getElementById("swiper"), data.swipe),
};
