const data = JSON.parse(document.getElementById("data").textContent);
if (data.swipe) {
  // an image that the map shows, too, is named, not held twice
  data.swipe.images = data.swipe.images.map((uri) => (data.map[uri] ? data.map[uri].image : uri));
}
window.report = {
  map: new PointMap(document.getElementById("map"), data.map),
  swipe: data.swipe && new Swipe(document.getElementById("swiper"), data.swipe),
};
