using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Qkd.Timing.Correlation;

/// <summary>Coincidences of two channels, each tag in one of them at most.</summary>
public static class Coincidences
{
    /// <summary>Tags of each channel below which dividing the work is not worth it.</summary>
    private const int WorthDividing = 4096;

    /// <summary>Tags among which a silence is looked for; where there is none the piece before goes to the end.</summary>
    private const int MostTries = 2000;

    /// <summary>
    /// Counts coincidences: from the earliest tags on, two tags form one if the second channel's, less the delay, is at most the half window away from the
    /// first channel's; the one of the two that comes first otherwise has no partner.
    /// </summary>
    /// <param name="first">Times of one channel, ascending.</param>
    /// <param name="second">Times of the other, ascending.</param>
    /// <param name="halfWindow">Largest distance, 0 or more, in the times' unit.</param>
    /// <param name="delay">How much later the second channel's tags come, in the times' unit.</param>
    /// <remarks>
    /// Two pointers, and no branch that depends on the data: each step moves one pointer or both. A step waits for the one before, so four pieces of the streams
    /// are walked at once; they are cut where both channels are silent for longer than the window, which no coincidence spans.
    /// </remarks>
    public static long Count(ReadOnlySpan<long> first, ReadOnlySpan<long> second, long halfWindow, long delay = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(halfWindow);
        if (first.Length < WorthDividing || second.Length < WorthDividing)
        {
            return Walk(first, second, halfWindow, delay);
        }

        Span<int> cutsFirst = [0, 0, 0, 0, first.Length];
        Span<int> cutsSecond = [0, 0, 0, 0, second.Length];
        for (var piece = 1; piece < 4; piece++)
        {
            var at = Math.Max(cutsFirst[piece - 1], (int)((long)first.Length * piece / 4));
            (cutsFirst[piece], cutsSecond[piece]) = Cut(first, second, halfWindow, delay, at, cutsSecond[piece - 1]);
        }

        return WalkFour(first, second, cutsFirst, cutsSecond, halfWindow, delay);
    }

    /// <summary>The plain twin of <see cref="Count"/>.</summary>
    internal static long CountPlainly(ReadOnlySpan<long> first, ReadOnlySpan<long> second, long halfWindow, long delay = 0)
    {
        long count = 0;
        for (int i = 0, j = 0; i < first.Length && j < second.Length;)
        {
            var difference = second[j] - delay - first[i];
            if (difference < -halfWindow)
            {
                j++;
            }
            else if (difference > halfWindow)
            {
                i++;
            }
            else
            {
                count++;
                i++;
                j++;
            }
        }

        return count;
    }

    /// <summary>Where, from a tag of the first channel on, both channels can be cut without cutting a coincidence or a chain of them.</summary>
    private static (int First, int Second) Cut(ReadOnlySpan<long> first, ReadOnlySpan<long> second, long halfWindow, long delay, int at, int notBefore)
    {
        for (var tries = 0; at < first.Length && tries < MostTries; at++, tries++)
        {
            // All of the second channel's that come before this tag, and none of them near it; nor is the first channel's last one near those after.
            var from = notBefore + LowerBound(second[notBefore..], first[at] + delay - halfWindow);
            if (at == 0 || from == second.Length || second[from] - delay - first[at - 1] > halfWindow)
            {
                return (at, from);
            }
        }

        return (first.Length, second.Length);
    }

    private static int LowerBound(ReadOnlySpan<long> times, long limit)
    {
        int low = 0, high = times.Length;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            (low, high) = times[middle] < limit ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private static long Walk(ReadOnlySpan<long> first, ReadOnlySpan<long> second, long halfWindow, long delay)
    {
        ref var a = ref MemoryMarshal.GetReference(first);
        ref var b = ref MemoryMarshal.GetReference(second);
        nint i = 0, j = 0;
        long count = 0;
        while (i < first.Length && j < second.Length)
        {
            Step(ref a, ref b, ref i, ref j, ref count, halfWindow, delay);
        }

        return count;
    }

    private static long WalkFour(ReadOnlySpan<long> first, ReadOnlySpan<long> second, ReadOnlySpan<int> cutsFirst, ReadOnlySpan<int> cutsSecond, long halfWindow, long delay)
    {
        ref var a = ref MemoryMarshal.GetReference(first);
        ref var b = ref MemoryMarshal.GetReference(second);
        nint i0 = cutsFirst[0], i1 = cutsFirst[1], i2 = cutsFirst[2], i3 = cutsFirst[3];
        nint j0 = cutsSecond[0], j1 = cutsSecond[1], j2 = cutsSecond[2], j3 = cutsSecond[3];
        nint endI0 = cutsFirst[1], endI1 = cutsFirst[2], endI2 = cutsFirst[3], endI3 = cutsFirst[4];
        nint endJ0 = cutsSecond[1], endJ1 = cutsSecond[2], endJ2 = cutsSecond[3], endJ3 = cutsSecond[4];
        long c0 = 0, c1 = 0, c2 = 0, c3 = 0;
        while (true)
        {
            // As many steps as no piece can end in.
            var steps = Math.Min(
                Math.Min(Math.Min(endI0 - i0, endJ0 - j0), Math.Min(endI1 - i1, endJ1 - j1)),
                Math.Min(Math.Min(endI2 - i2, endJ2 - j2), Math.Min(endI3 - i3, endJ3 - j3)));
            if (steps <= 0)
            {
                break;
            }

            for (; steps > 0; steps--)
            {
                Step(ref a, ref b, ref i0, ref j0, ref c0, halfWindow, delay);
                Step(ref a, ref b, ref i1, ref j1, ref c1, halfWindow, delay);
                Step(ref a, ref b, ref i2, ref j2, ref c2, halfWindow, delay);
                Step(ref a, ref b, ref i3, ref j3, ref c3, halfWindow, delay);
            }
        }

        return c0 + c1 + c2 + c3
            + Walk(first[(int)i0..(int)endI0], second[(int)j0..(int)endJ0], halfWindow, delay)
            + Walk(first[(int)i1..(int)endI1], second[(int)j1..(int)endJ1], halfWindow, delay)
            + Walk(first[(int)i2..(int)endI2], second[(int)j2..(int)endJ2], halfWindow, delay)
            + Walk(first[(int)i3..(int)endI3], second[(int)j3..(int)endJ3], halfWindow, delay);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(ref long a, ref long b, ref nint i, ref nint j, ref long count, long halfWindow, long delay)
    {
        var difference = Unsafe.Add(ref b, j) - delay - Unsafe.Add(ref a, i);
        nint early = difference < -halfWindow ? 1 : 0;
        nint late = difference > halfWindow ? 1 : 0;
        i += 1 - early;
        j += 1 - late;
        count += 1 - early - late;
    }
}
