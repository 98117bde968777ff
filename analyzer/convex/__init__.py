"""Everything that knows Convex: how to talk to a deployment, and the formats of its values, ids and exports."""

import sys

# The HTTP library's own command line, which it loads where the packages for that happen to be installed: a quarter of
# all that is loaded before the first request. It does without what cannot be imported.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
