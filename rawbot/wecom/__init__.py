"""The WeCom wing: AI bots (智能机器人) in callback mode."""
