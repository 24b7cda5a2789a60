using System.Buffers;

namespace Qkd.Distillation;

/// <summary>Bob's messages in verification, as <see cref="IVerification"/> lays them out.</summary>
internal static class VerificationMessages
{
    private const byte Differs = 0;
    private const byte Same = 1;

    /// <summary>Writes which ranges differ.</summary>
    public static void WriteVerdicts(ReadOnlySpan<ulong> verdicts, IBufferWriter<byte> answer)
    {
        answer.WriteByte(Differs);
        answer.WriteWords(verdicts);
    }

    /// <summary>Writes that nothing differs any more, and the errors that were corrected, per intensity.</summary>
    public static void WriteErrors(ReadOnlySpan<long> errors, IBufferWriter<byte> answer)
    {
        answer.WriteByte(Same);
        foreach (var count in errors)
        {
            answer.WriteInt64(count);
        }
    }

    /// <summary>Reads whether Bob finds everything the same.</summary>
    public static bool ReadVerdict(ref MessageReader reader) => reader.ReadByte() switch
    {
        Same => true,
        Differs => false,
        var other => throw reader.Malformed($"its verdict is {other}"),
    };

    /// <summary>Reads Bob's error counts.</summary>
    public static long[] ReadErrors(ref MessageReader reader, IReadOnlyList<long> counts)
    {
        var errors = new long[counts.Count];
        for (var i = 0; i < errors.Length; i++)
        {
            errors[i] = reader.ReadInt64();
            if (errors[i] < 0 || errors[i] > counts[i])
            {
                throw reader.Malformed($"{errors[i]} errors in {counts[i]} bits");
            }
        }

        reader.End();
        return errors;
    }
}
