"""The status endpoint and the live page: real servers, real HTTP, a real browser."""
