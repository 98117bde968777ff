"""A plain HTTP client: what is sent stands in the test, and nothing is tried twice."""

from __future__ import annotations

from typing import Any

import httpx

from tests.deployment import Deployment


class Client(httpx.Client):
    """Speaks to a deployment with a key, or with none."""

    def __init__(self, deployment: Deployment, key: str | None = "", name: str = "mytool-0.1.0") -> None:
        key = deployment.admin_key if key == "" else key
        headers = {"Convex-Client": name} | ({"Authorization": f"Convex {key}"} if key else {})
        # Loading certificates takes longer than most tests, and there are none here.
        super().__init__(base_url=deployment.url, headers=headers, timeout=60, verify=False)

    def call(self, path: str, args: Any = None, *, endpoint: str = "query", **more: Any) -> dict[str, Any]:
        """Call a function and return the whole answer."""
        response = self.post(f"/api/{endpoint}", json={"path": path, "args": args or {}} | more)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def value(self, path: str, args: Any = None, **more: Any) -> Any:
        """Return what a function returns."""
        answer = self.call(path, args, **more)
        assert answer["status"] == "success", answer
        return answer["value"]

    def mutate(self, path: str, args: Any = None, **more: Any) -> Any:
        return self.value(path, args, endpoint="mutation", **more)

    def error(self, path: str, args: Any = None, **more: Any) -> str:
        """Return what a function threw."""
        answer = self.call(path, args, **more)
        assert answer["status"] == "error", answer
        message: str = answer["errorMessage"]
        return message


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal; the code is "" where the body is empty."""
    return response.status_code, response.json()["code"] if response.content else ""
