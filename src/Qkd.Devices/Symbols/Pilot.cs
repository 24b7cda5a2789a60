namespace Qkd.Devices;

/// <summary>
/// The public pilot at the head of each frame: signal and vacuum pulses in all four states, drawn from the frame number by a
/// public function, so that the receiver can tell the slots of one frame from those of any other. A pilot never enters key.
/// </summary>
/// <remarks>
/// Group <c>g</c> (64 slots) of frame <c>f</c> is made of the words <c>w_j = mix(mix(f) + 4 g + j)</c>, where
/// <c>mix(x) = s(x + 0x9E3779B97F4A7C15)</c> and <c>s</c> is the finaliser of SplitMix64 (Steele, Lea, Flood 2014). Bits are
/// <c>w_0</c>, bases <c>w_1</c>; where <c>w_2</c> is 1 the pulse has intensity 0 (signal), elsewhere the weakest.
/// </remarks>
public static class Pilot
{
    /// <summary>Fills the pilot of a frame in the layout of <see cref="PackedSymbols"/>.</summary>
    /// <param name="frame">Frame number.</param>
    /// <param name="vacuumIntensity">Index of the weakest intensity.</param>
    /// <param name="packed">Receives the symbols; a whole number of groups.</param>
    public static void Fill(long frame, int vacuumIntensity, Span<ulong> packed)
    {
        var key = Mix((ulong)frame);
        for (var group = 0; group < packed.Length / PackedSymbols.WordsPerGroup; group++)
        {
            var words = packed.Slice(group * PackedSymbols.WordsPerGroup, PackedSymbols.WordsPerGroup);
            var position = key + (4 * (ulong)group);
            words[0] = Mix(position);
            words[1] = Mix(position + 1);
            var vacuum = ~Mix(position + 2);
            words[2] = (vacuumIntensity & 1) != 0 ? vacuum : 0;
            words[3] = (vacuumIntensity & 2) != 0 ? vacuum : 0;
        }
    }

    private static ulong Mix(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
        x = (x ^ x >> 27) * 0x94D049BB133111EB;
        return x ^ x >> 31;
    }
}
