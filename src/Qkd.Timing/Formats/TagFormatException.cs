namespace Qkd.Timing.Formats;

/// <summary>A file of tags is cut off, corrupt or not of the format it was taken for. What was read before it stays good.</summary>
public sealed class TagFormatException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="byteOffset">Where in the file, in bytes from its start.</param>
    /// <param name="problem">What is wrong there, in words.</param>
    public TagFormatException(long byteOffset, string problem)
        : base(FormattableString.Invariant($"at byte {byteOffset}: {problem}")) => ByteOffset = byteOffset;

    /// <summary>Where in the file, in bytes from its start.</summary>
    public long ByteOffset { get; }
}
