"""Answers live queries from the release that a channel serves; needs no orchestrator or tracker."""
