// Starts Swagger UI; a file of its own because the page's policy forbids inline scripts.
window.ui = SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.spec,
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "none",
  filter: true,
  persistAuthorization: false,
  // Calls go to where this page comes from, by whatever name it was opened: its policy allows no other.
  requestInterceptor: (request) => {
    const { pathname, search } = new URL(request.url, location.href);
    request.url = location.origin + pathname + search;
    return request;
  },
  tryItOutEnabled: true,
  validatorUrl: null,
});
