"""A package of its own, so that its browser and its app end with it: an open Playwright keeps its loop running in the
thread of the tests, where another test of the same process could not begin one."""
