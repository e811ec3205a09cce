"""The VK wing: community bots by the Callback API and Long Poll, users by Long Poll, and the API's methods."""
