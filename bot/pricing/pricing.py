"""What a route costs, in one place: the hot path, the gate, the executor and the post-mortem all price here.

A route's costs change slowly (fees, funding, the usual price difference between its two sides), its prices change
with every quote. So costs are summed once into a `CostSheet`, and a quote only needs `gross_edge_bps` and one
subtraction. An `Opportunity` carries both, every cost by name.
"""
