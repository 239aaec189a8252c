// Log in: a token against a cookie. The token is in the body of one request and stays nowhere.

import { ApiError, get, post } from "./api.js";
import { el, show } from "./dom.js";

/** Draws the form; calls `done` when somebody is logged in. */
export function login(page, done) {
  const problem = el("p", { class: "problem", role: "alert" });
  const token = el("input", {
    id: "token", type: "password", autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true,
    "aria-describedby": "token-help",
  });
  const button = el("button", { type: "submit", class: "primary" }, "Log in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    show(problem);
    try {
      await post("/login", { token: token.value.trim() });
      token.value = "";
      await done();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      show(problem, error.status === 401 ? "No such token, or it has expired." : error.message);
      token.select();
    } finally {
      button.disabled = false;
    }
  };
  const help = el("p", { id: "token-help", class: "hint" },
    "The first start prints one. More: ", el("code", null, "countersign keys admin NAME --role approver"));
  show(page, el("form", { class: "login", onsubmit: submit },
    el("h1", null, "Log in"), el("label", { for: "token" }, "Your token"), token, help, button, problem));
  token.focus();
  // A document of its own: the provider's page comes next.
  get("/login/ways").then(({ oidc }) => {
    if (oidc) page.querySelector("form").append(el("p", { class: "other" }, el("a", { href: "/login/oidc", target: "_self" }, "Log in with your organisation's account")));
  }, () => {});
}
