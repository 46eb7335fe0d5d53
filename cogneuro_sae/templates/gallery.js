(function () {
  "use strict";
  var controls = document.getElementById("controls"), list = document.getElementById("cards");
  var cards = Array.prototype.slice.call(list.children), count = document.getElementById("count");
  var arm = document.getElementById("arm"), concept = document.getElementById("concept");
  var order = document.getElementById("order"), find = document.getElementById("find");
  function number(card, key) {
    var value = card.getAttribute("data-" + key);
    return value === "" ? -Infinity : Number(value);
  }
  function among(card, key, chosen) {
    return chosen === "" || JSON.parse(card.getAttribute("data-" + key)).indexOf(chosen.slice(1)) >= 0;
  }
  function compare(a, b) {
    var key = order.value;
    if (key === "place") { return number(a, "place") - number(b, "place"); }
    var x = number(a, key), y = number(b, key);
    return x === y ? number(a, "place") - number(b, "place") : (y > x ? 1 : -1);
  }
  function apply() {
    var shown = 0, text = find.value.trim().toLowerCase();
    cards.sort(compare).forEach(function (card) {
      var keep = among(card, "arms", arm.value) && among(card, "concepts", concept.value) &&
        (text === "" || card.getAttribute("data-find").indexOf(text) >= 0);
      card.hidden = !keep;
      shown += keep ? 1 : 0;
      list.appendChild(card);
    });
    count.textContent = shown + " of " + cards.length + " features";
  }
  [arm, concept, order].forEach(function (each) { each.addEventListener("change", apply); });
  find.addEventListener("input", apply);
  document.getElementById("unfold").addEventListener("click", function () {
    var all = list.querySelectorAll("details"), open = list.querySelector("details:not([open])") !== null;
    all.forEach(function (each) { each.open = open; });
  });
  controls.hidden = false;
  apply();
}());
