namespace Qkd.Distillation;

/// <summary>The two ends of a link.</summary>
public enum LinkEnd
{
    /// <summary>The end that prepares. Her bits are the reference: the other end corrects his to hers.</summary>
    Alice = 0,

    /// <summary>The end that measures and corrects.</summary>
    Bob = 1,
}

/// <summary>What the key of a block may be called. The lower one counts where two ends disagree.</summary>
public enum KeyGrade
{
    /// <summary>At least one assumption of the security proof is not attested for this bench. Not for use.</summary>
    Laboratory = 0,

    /// <summary>Every assumption of the security proof is attested, with evidence and date, in the configuration.</summary>
    Attested = 1,
}
