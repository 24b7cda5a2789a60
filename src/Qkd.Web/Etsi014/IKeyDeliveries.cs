using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Node.Nodes;

namespace Qkd.Web.Etsi014;

/// <summary>The keys of the nodes that this process runs.</summary>
internal interface IKeyDeliveries
{
    /// <summary>The keys of one end; null while it does not run.</summary>
    IKeyDelivery? Of(LinkEnd end);
}

/// <summary>The keys of the running nodes.</summary>
internal sealed class NodeDeliveries(NodesService nodes) : IKeyDeliveries
{
    public IKeyDelivery? Of(LinkEnd end) => nodes.Nodes.FirstOrDefault(node => (node is AliceNode) == (end == LinkEnd.Alice))?.Keys.Delivery;
}
