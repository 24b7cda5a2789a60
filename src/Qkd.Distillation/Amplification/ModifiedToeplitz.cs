namespace Qkd.Distillation;

internal static class ModifiedToeplitz
{
    public static BitString Hash(BitString bits, ReadOnlySpan<ulong> seed, int length) => throw new NotImplementedException();
}
