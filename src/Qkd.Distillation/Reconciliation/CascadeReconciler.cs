namespace Qkd.Distillation;

/// <summary>Cascade.</summary>
public sealed class CascadeReconciler : IReconciler
{
    /// <inheritdoc/>
    public string Name => "cascade";

    /// <inheritdoc/>
    public IReconciliation Begin(SiftedBlock block, LinkEnd end, double expectedErrorRate) => throw new NotImplementedException();
}
