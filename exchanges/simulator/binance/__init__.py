"""Binance's protocols, spot and USDⓈ-M, in front of a simulated exchange."""
