document.getElementById("origin").textContent = window.location.origin;
