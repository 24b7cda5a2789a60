namespace Qkd.Timing;

/// <summary>How far the slots are known.</summary>
public enum SyncState
{
    /// <summary>Looking for the slots.</summary>
    Searching,

    /// <summary>Every tag has its slot.</summary>
    Locked,

    /// <summary>The numbering was lost and is looked for again.</summary>
    Lost,
}

/// <summary>State of synchronisation.</summary>
/// <param name="State">How far the slots are known.</param>
/// <param name="Detail">In words.</param>
/// <param name="PeriodPpm">Deviation of the slot period in the tagger's clock from nominal, in parts per million.</param>
/// <param name="DelaySlots">Delay of the light behind its marker, in whole slots.</param>
/// <param name="PhasePicoseconds">And the rest of it.</param>
public sealed record SyncStatus(SyncState State, string Detail, double PeriodPpm, long DelaySlots, double PhasePicoseconds);
