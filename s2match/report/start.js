const data = JSON.parse(document.getElementById("data").textContent);
window.report = {
  map: new PointMap(document.getElementById("map"), data.map),
  swipe: data.swipe && new Swipe(document.getElementById("swiper"), data.swipe),
};
