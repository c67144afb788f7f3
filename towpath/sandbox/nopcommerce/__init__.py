"""NopCommerce with the official Web API Backend v1.06, a plugin that sends webhooks, and a shopper who places orders."""
