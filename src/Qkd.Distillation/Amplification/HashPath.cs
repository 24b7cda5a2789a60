namespace Qkd.Distillation;

/// <summary>What a processor offers for products of polynomials over GF(2).</summary>
internal enum HashPath
{
    /// <summary>Integer arithmetic.</summary>
    Plain,

    /// <summary>128-bit carry-less multiplication.</summary>
    Narrow,

    /// <summary>256-bit carry-less multiplication.</summary>
    Wide,
}
